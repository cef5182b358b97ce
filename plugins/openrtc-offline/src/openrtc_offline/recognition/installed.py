"""Whether this machine can recognise speech; quick to import and to ask."""

from __future__ import annotations

import importlib.util
import sys

BUILT_HERE = ", which needs a C compiler, since it has no wheel for this Python" if sys.version_info >= (3, 14) else ""
MISSING_RECOGNIZER = (
    f"no speech recognition on this machine: pip install pocketsphinx{BUILT_HERE}; text and voices work without"
)


def has_recognizer() -> bool:
    """Whether pocketsphinx is there; imports nothing."""
    return importlib.util.find_spec("pocketsphinx") is not None
