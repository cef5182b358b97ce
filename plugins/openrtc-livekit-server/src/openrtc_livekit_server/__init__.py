"""The LiveKit server that this distribution brings; `openrtc.LocalServer` starts it."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

__all__ = ["binary", "version"]

_DISTRIBUTION = "openrtc-livekit-server"
_FILE_NAMES = ("livekit-server", "livekit-server.exe")


def binary() -> Path:
    """Return the path of the installed `livekit-server`.

    Raises:
        FileNotFoundError: It has been removed since the installation.
    """
    files = metadata.files(_DISTRIBUTION) or []
    places = [Path(str(file.locate())).resolve() for file in files if file.name in _FILE_NAMES]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"{_DISTRIBUTION} has lost its binary {places}: pip install --force-reinstall it")


def version() -> str:
    """Return the LiveKit server's version, which is the distribution's too."""
    return metadata.version(_DISTRIBUTION)
