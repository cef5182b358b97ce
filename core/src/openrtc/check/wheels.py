"""Unpacks a wheel into a folder of its own; nothing that it requires is installed, and none of its code runs."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from openrtc.errors import OpenRTCError, summarize_error

SUFFIX = ".whl"
LARGEST_WHEEL = 2_000_000_000
"""Bytes that a wheel may hold: what is larger is no agent."""
_MODULES = ("purelib", "platlib")
"""What stands below a wheel's ``.data`` folder and goes where its modules are."""


def unpack_wheel(wheel: Path, site: Path) -> None:
    """Unpack a wheel.

    Args:
        wheel: The file.
        site: An empty folder, which is the only one on the path of imports that has it.

    Raises:
        OpenRTCError: It is no wheel, is for another Python or system, or holds a path that leads out of the folder.
    """
    _check_tags(wheel)
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = list(_list_members(archive, wheel))
            for member, target in members:
                file = site / target
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.read(member))
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise OpenRTCError(f"it cannot be unpacked: {summarize_error(error)}", origin=str(wheel)) from None
    if not any(".dist-info" in target.parts[0] for _, target in members):
        raise OpenRTCError("it is no wheel: it has no .dist-info folder", origin=str(wheel), fix="build it again")


def _list_members(archive: zipfile.ZipFile, wheel: Path) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    size = 0
    for member in archive.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if member.is_dir() or not path.parts:
            continue
        size += member.file_size
        if size > LARGEST_WHEEL:
            raise OpenRTCError(f"it holds more than {LARGEST_WHEEL:,} bytes", origin=str(wheel))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise OpenRTCError(f"it holds {member.filename!r:.100}, which leads out of its folder", origin=str(wheel))
        if path.parts[0].endswith(".data"):
            if len(path.parts) < 3 or path.parts[1] not in _MODULES:
                continue  # scripts and headers, which no agent needs
            path = PurePosixPath(*path.parts[2:])
        yield member, path


def _check_tags(wheel: Path) -> None:
    from packaging.tags import sys_tags
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        tags = parse_wheel_filename(wheel.name)[3]
    except InvalidWheelFilename as error:
        raise OpenRTCError(f"its name is none of a wheel: {error}", origin=str(wheel), fix="build it again") from None
    if tags.isdisjoint(sys_tags()):
        reason = f"it is for {', '.join(sorted(map(str, tags)))}, which this Python is not"
        raise OpenRTCError(reason, origin=str(wheel), fix="check it with a Python that it is for")
