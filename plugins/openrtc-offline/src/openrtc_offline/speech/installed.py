"""Whether this machine can speak; quick to import and to ask."""

from __future__ import annotations

import importlib.util
import shutil

INSTALL_HINT = "pip install espeakng-loader, or the system package flite or espeak-ng"
MISSING_ENGINE = f"no speech synthesis on this machine: {INSTALL_HINT}; text works without"


def has_engine() -> bool:
    """Whether flite, espeak-ng or the espeakng-loader wheel is there; starts nothing."""
    found = shutil.which("flite") or shutil.which("espeak-ng") or importlib.util.find_spec("espeakng_loader")
    return found is not None
