"""Finds the installed distributions that speak of OpenRTC, reading no more of the others than it must."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import importlib_metadata

from openrtc.setting_kinds import normalised

ENTRY_POINTS = "entry_points.txt"
FOLDER = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py\d.*)?\.(?:dist|egg)-info")


class Readable(Protocol):
    """What is used of importlib_metadata's distributions."""

    @property
    def name(self) -> str: ...
    def read_text(self, filename: str) -> str | None: ...


class Installed(NamedTuple):
    """One installed distribution.

    Args:
        distribution: importlib_metadata's object.
        folder: Its metadata folder, where it has one.
        key: Normalised name.
        name: Name as its folder writes it.
        version: Version as its folder writes it; empty when the folder does not tell.
    """

    distribution: Readable
    folder: Path | None
    key: str
    name: str
    version: str

    def place(self, file: str, line: int = 1) -> str:
        """Return ``file:line`` of one of its metadata files."""
        return f"{self.folder / file}:{line}" if self.folder else f"{self.name}/{file}:{line}"


class Metadata(NamedTuple):
    """The head of a METADATA file.

    Args:
        name: Name of the distribution.
        version: Its version.
        summary: One line about it.
        requires: Each ``Requires-Dist`` with its line number.
        fault: Why the file cannot be used, else None.
        line: The line of that fault.
    """

    name: str = ""
    version: str = ""
    summary: str = ""
    requires: tuple[tuple[str, int], ...] = ()
    fault: str | None = None
    line: int = 1


def installed_distributions() -> dict[str, Installed]:
    """Return every installed distribution by its normalised name, without those that an earlier `sys.path` entry hides.

    Of two in one folder, as a broken upgrade leaves them, the newer counts: nothing may depend on the disk's order.
    """
    found: dict[str, Installed] = {}
    # What is on the path and does not exist would be opened as a zip file: five milliseconds for nothing.
    path = [entry for entry in sys.path if os.path.exists(entry or ".")]
    for distribution in importlib_metadata.distributions(path=path):
        one = _identify(distribution)
        if one is None:
            continue
        other = found.get(one.key)
        if other is None or (_same_place(one, other) and _version_key(one) > _version_key(other)):
            found[one.key] = one
    return found


def entry_points_text(one: Installed) -> tuple[str, int | None] | None:
    """Return `entry_points.txt` where it speaks of OpenRTC, and the line that is not UTF-8, if any."""
    raw = _read_bytes(one, ENTRY_POINTS)
    if b"openrtc" not in raw.replace(b"\0", b"").lower():
        return None
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return raw.replace(b"\0", b"").decode("utf-8", "replace").lstrip("\ufffd"), line


def _read_bytes(one: Installed, name: str) -> bytes:
    """Return a metadata file, empty where there is none; of a thousand distributions, so without detours."""
    if isinstance(one.folder, Path):
        try:
            with open(f"{one.folder}/{name}", "rb") as file:
                return file.read()
        except OSError:
            return b""
    try:
        return (one.distribution.read_text(name) or "").encode()
    except UnicodeDecodeError as error:
        return error.object
    except Exception:
        return b""  # a finder of somebody's own may fail in any way; what it cannot read cannot speak of OpenRTC


def read_metadata(one: Installed) -> Metadata:
    """Return the head of the distribution's METADATA; never raises, the fault is in the result."""
    try:
        text = one.distribution.read_text("METADATA") or one.distribution.read_text("PKG-INFO")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return Metadata(fault="METADATA is not UTF-8", line=line)
    except Exception as error:
        return Metadata(fault=f"METADATA cannot be read: {error!r}")
    if not text:
        return Metadata(fault="METADATA is missing: the installation is damaged")
    return _parse(text)


def _parse(text: str) -> Metadata:
    fields: dict[str, str] = {}
    requires: list[tuple[str, int]] = []
    for key, value, number in _headers(text):
        if key == "requires-dist":
            requires.append((value, number))
        else:
            fields.setdefault(key, value)
    name, version, summary = (fields.get(key, "") for key in ("name", "version", "summary"))
    missing = [title for title, value in (("Name", name), ("Version", version)) if not value]
    fault = f"METADATA has no {' and no '.join(missing)}" if missing else None
    return Metadata(name, version, summary, tuple(requires), fault)


def _headers(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield key, value and line of each header; a tenth of the cost of the email parser, which reads the body too."""
    key, value, start = "", "", 0
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if line[:1] in " \t" and line.strip() and key:
            value += " " + line.strip()
            continue
        if key:
            yield key, value, start
        head, colon, rest = line.partition(":")
        key, value, start = (head.strip().lower(), rest.strip(), number) if colon else ("", "", 0)
        if not line.strip():
            return
    if key:
        yield key, value, start


def _identify(distribution: Readable) -> Installed | None:
    """Tell name and version from the folder's name: reading METADATA of every distribution would cost seconds."""
    folder = getattr(distribution, "_path", None)
    match = FOLDER.fullmatch(os.path.basename(str(folder))) if folder is not None else None
    if match:
        return Installed(distribution, folder, normalised(match["name"]), match["name"], match["version"])
    try:
        name = distribution.name
    except Exception:
        return None  # a metadata folder without name, version or contents: nothing to report about
    return Installed(distribution, folder, normalised(name), name, "") if name else None


def _same_place(one: Installed, other: Installed) -> bool:
    return bool(one.folder and other.folder and one.folder.parent == other.folder.parent)


def _version_key(one: Installed) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|[a-z]+", one.version))
