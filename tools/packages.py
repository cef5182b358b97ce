"""The distributions of this repository: where they are, and how they are installed together."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SERVER = "./plugins/openrtc-livekit-server"
OFFLINE = "./plugins/openrtc-offline"
SPEECH = {OFFLINE: "[espeak]"}  # the GPL voice is an extra, which only the demo and the tests install
WHEELS = "OPENRTC_WHEELS"
"""Names a folder with wheels of distributions that are built already, by their folders (`.ci/run`)."""


def distributions() -> list[str]:
    """Return the folders of all distributions, the core first."""
    found = [*ROOT.glob("plugins/*/pyproject.toml"), *ROOT.glob("sample_agents/*/pyproject.toml")]
    return ["./core", *sorted(f"./{path.parent.relative_to(ROOT).as_posix()}" for path in found)]


def without(*left_out: str) -> list[str]:
    """Return the folders of all distributions but some."""
    return [folder for folder in distributions() if folder not in left_out]


def with_extras(folders: Iterable[str], *, built: bool = False) -> list[str]:
    """Return the folders with the extras that the demo and the tests want.

    Args:
        folders: The folders.
        built: Whether their wheels take the places of those that are built already.
    """
    return [(find_wheel(folder) if built else folder) + SPEECH.get(folder, "") for folder in folders]


def find_wheel(folder: str) -> str:
    """Return the wheel of a distribution if it is built already, else its folder."""
    wheels = os.environ.get(WHEELS)
    found = sorted(Path(wheels, folder).glob("*.whl")) if wheels else []
    return str(found[0]) if found else folder


def editable(folders: Iterable[str]) -> list[str]:
    """Return the arguments that install the folders with their extras, so that changes in them count at once."""
    return list(chain.from_iterable(("-e", folder) for folder in with_extras(folders)))


def project(folder: str) -> dict[str, Any]:
    """Return the [project] table of a distribution."""
    table: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return table
