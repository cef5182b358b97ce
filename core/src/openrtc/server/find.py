"""Finds a LiveKit server binary on this machine."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from packaging.version import InvalidVersion, Version

from openrtc.errors import OpenRTCError

SERVER_VARIABLE = "OPENRTC_LIVEKIT_SERVER"
"""Environment variable that names the binary to use."""

SERVER_DISTRIBUTION = "openrtc-livekit-server"
"""The distribution of this project that brings one."""

_NAME = "livekit-server.exe" if os.name == "nt" else "livekit-server"
_GO_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def find_server() -> Path | None:
    """Return the LiveKit server binary to use, or None when this machine has none.

    Tried in this order: the variable `SERVER_VARIABLE`, the PATH, the scripts folder of the running environment, and
    the cache folder in which the distribution openrtc-livekit-server keeps what it built.

    Raises:
        OpenRTCError: `SERVER_VARIABLE` is set and does not name a program.
    """
    if named := os.environ.get(SERVER_VARIABLE):
        return _require_program(Path(named).expanduser())
    if on_path := shutil.which(_NAME):
        return Path(on_path)
    return next((place for place in _list_places() if _is_program(place)), None)


def find_build_cache() -> Path:
    """Return the folder that holds one folder for each built server, named ``<version>-<system>-<machine>`` as Go does.

    The build hook of openrtc-livekit-server, which cannot import this package, holds the same rule.
    """
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "openrtc" / "livekit-server"


def _require_program(path: Path) -> Path:
    if not _is_program(path):
        raise OpenRTCError(
            f"{path} is not a program that can be run", origin=SERVER_VARIABLE, fix="correct the path or unset it"
        )
    return path


def _list_places() -> Iterator[Path]:
    yield Path(sysconfig.get_path("scripts")) / _NAME
    yield from (folder / _NAME for folder in sorted(_list_builds(), key=_read_version, reverse=True))


def _list_builds() -> list[Path]:
    machine = _GO_MACHINES.get(platform.machine().lower(), platform.machine().lower())
    system = "windows" if os.name == "nt" else sys.platform
    return list(find_build_cache().glob(f"*-{system}-{machine}"))


def _read_version(folder: Path) -> Version:
    try:
        return Version(folder.name.partition("-")[0])
    except InvalidVersion:
        return Version("0")


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
