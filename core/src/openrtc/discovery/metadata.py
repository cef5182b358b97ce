"""Reads what a distribution's METADATA and entry_points.txt say; never more than a sane file holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from openrtc.discovery.metadata_folders import Installed, read_file
from openrtc.model.status import INSTALLED, State, Status

ENTRY_POINTS = "entry_points.txt"

LARGEST_FILE = 1_000_000
"""Bytes that are read of a metadata file; of METADATA the headers count, which real ones fit into 50,000 bytes."""
MOST_REQUIREMENTS = 5000
"""Requirements of a distribution; those with the most have about 1000, with all their extras."""

END_OF_HEADERS = re.compile(rb"\n[ \t]*\r?(?:\n|\Z)")


class Metadata(NamedTuple):
    """The head of a METADATA file.

    Args:
        name: Name of the distribution.
        version: Its version.
        summary: One line about it.
        requires: Each ``Requires-Dist`` with its line number.
        requires_python: ``Requires-Python`` with its line number, where there is one.
        status: Why the file cannot be used, if it cannot.
    """

    name: str = ""
    version: str = ""
    summary: str = ""
    requires: tuple[tuple[str, int], ...] = ()
    requires_python: tuple[str, int] | None = None
    status: Status = INSTALLED


def entry_points_text(one: Installed) -> tuple[str, int | None] | None:
    """Return `entry_points.txt` where it speaks of OpenRTC, and the line that is not UTF-8, if any.

    Of a file that is larger than `LARGEST_FILE`, one character more than that is returned.
    """
    try:
        raw = read_file(one, ENTRY_POINTS, LARGEST_FILE)
    except Exception:
        return None  # a finder of somebody's own may fail in any way; what it cannot read cannot speak of OpenRTC
    if not raw or b"openrtc" not in raw.replace(b"\0", b"").lower():
        return None
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError as error:
        if error.start >= LARGEST_FILE - 3:  # the limit cuts a character
            return raw.decode("utf-8", "replace"), None
        line = raw[: error.start].count(b"\n") + 1
        return raw.replace(b"\0", b"").decode("utf-8", "replace").lstrip("\ufffd"), line


def read_metadata(one: Installed) -> Metadata:
    """Return the head of the distribution's METADATA; never raises, what is wrong is in its status."""

    def broken(reason: str, line: int = 1) -> Metadata:
        fix = f"install {one.name} again, from where it came"
        return Metadata(status=Status(State.BROKEN, reason, fix, f"{one.path_of('METADATA')}:{line}"))

    try:
        # The last is what distutils wrote: a file instead of a folder.
        files = (read_file(one, name, LARGEST_FILE) for name in ("METADATA", "PKG-INFO", ""))
        raw = next(filter(None, files), b"")
    except Exception as error:  # a finder of somebody's own may fail in any way
        return broken(f"METADATA cannot be read: {error!r}")
    if not raw:
        return broken("METADATA is missing: the installation is damaged")
    end = END_OF_HEADERS.search(raw)
    if end is None and len(raw) > LARGEST_FILE:
        return broken(f"METADATA has more than {LARGEST_FILE:,} bytes of headers")
    try:
        text = raw[: end.start() if end else None].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return broken("METADATA is not UTF-8", error.object[: error.start].count(b"\n") + 1)
    metadata = _parse(text)
    if missing := [field for field in ("Name", "Version") if not getattr(metadata, field.lower())]:
        return metadata._replace(status=broken(f"METADATA has no {' and no '.join(missing)}").status)
    if (count := len(metadata.requires)) > MOST_REQUIREMENTS:
        return metadata._replace(requires=(), status=broken(f"METADATA has {count:,} requirements").status)
    return metadata


def _parse(text: str) -> Metadata:
    fields: dict[str, str] = {}
    requires: list[tuple[str, int]] = []
    python: tuple[str, int] | None = None
    for key, value, number in _headers(text):
        if key == "requires-dist":
            requires.append((value, number))
        elif key == "requires-python":
            python = python or (value, number)
        else:
            fields.setdefault(key, value)
    name, version, summary = (fields.get(key, "") for key in ("name", "version", "summary"))
    return Metadata(name, version, summary, tuple(requires), python)


def _headers(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield key, value and line of each header; a tenth of the cost of the email parser, which reads the body too."""
    key, parts, start = "", [""], 0
    for number, line in enumerate(text.split("\n"), start=1):
        if line[:1] in (" ", "\t") and line.strip() and key:
            parts.append(line.strip())
            continue
        if key:
            yield key, " ".join(parts), start
        head, colon, rest = line.partition(":")
        key, parts, start = (head.strip().lower(), [rest.strip()], number) if colon else ("", [""], 0)
    if key:
        yield key, " ".join(parts), start
