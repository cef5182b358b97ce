"""Reads the files that `JsonlFile` writes, and forgets calls in them, also while workers write.

Whoever writes such a file holds a shared lock for each write and looks whether the file is still the one at its path;
who forgets holds the lock alone, writes what is left beside it, and puts that in its place.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from openrtc.errors import OpenRTCError
from openrtc.posix import lock_file

_ROTATED = re.compile(r"\.(\d{1,9})(\.gz)?")


def list_files(path: Path) -> list[Path]:
    """Return a file and what was rotated away from it (``FILE.1``, ``FILE.2.gz``), the oldest first."""
    found: list[tuple[int, Path]] = []
    with contextlib.suppress(OSError):
        for one in path.parent.iterdir():
            if one.name.startswith(path.name) and (number := _ROTATED.fullmatch(one.name[len(path.name) :])):
                found.append((int(number[1]), one))
    older = [one for _, one in sorted(found, reverse=True)]
    return [*older, *([path] if path.exists() else [])]


class EventLines:
    """The events in some files.

    ``bad`` counts the lines that are no events; not the last one of a file where it has no end: it is being written.

    Args:
        paths: The files, the oldest first.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self.bad = 0

    def read(self, job_id: str = "") -> Iterator[dict[str, Any]]:
        """Yield the events.

        Args:
            job_id: Only those of this call, if given.

        Raises:
            OpenRTCError: A file cannot be read.
        """
        wanted = json.dumps(job_id).encode() if job_id else b""
        for path in self._paths:
            for line in read_lines(path):
                if wanted in line and (event := self._parse(line)) and (not job_id or event["job_id"] == job_id):
                    yield event

    def _parse(self, line: bytes) -> dict[str, Any] | None:
        event = parse_event(line)
        if event is None and line.strip() and line.endswith(b"\n"):
            self.bad += 1
        return event


def parse_event(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line, None where it is none; ``job_id`` is empty where it belongs to no call."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    job_id = event.get("job_id")
    return {**event, "job_id": job_id if isinstance(job_id, str) else ""}


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, perhaps a compressed one.

    Raises:
        OpenRTCError: It cannot be read, or is no file.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OpenRTCError(f"{path} is no file: nothing can be read back from it", fix="name a regular file")
        with path.open("rb") as file:
            yield from gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
    except (OSError, EOFError) as error:
        raise OpenRTCError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def find_calls_of(identity: str, paths: Iterable[Path]) -> list[str]:
    """Return the ids of the calls in which a person was, in their order.

    Args:
        identity: The person's.
        paths: The files.
    """
    found: dict[str, None] = {}
    for event in EventLines(paths).read():
        there = [event["identity"]] if "identity" in event else event.get("people")
        if event["job_id"] and isinstance(there, list) and identity in there:
            found.setdefault(event["job_id"])
    return list(found)


def forget_calls(path: Path, job_ids: Collection[str]) -> int:
    """Take all lines of some calls out of a file; return how many there were.

    Args:
        path: The file; workers may be writing it.
        job_ids: The calls.

    Raises:
        OpenRTCError: It cannot be read or written.
    """
    marks = [json.dumps(job_id).encode() for job_id in job_ids]
    removed = 0
    try:
        with _lock_alone(path), _replace(path) as kept:
            for line in read_lines(path):
                # What is no whole line may still hold a person's words.
                if any(mark in line for mark in marks) and not _is_of_another(line, job_ids):
                    removed += 1
                else:
                    kept.write(line)
    except OSError as error:
        raise OpenRTCError(f"{path} cannot be written anew: {error.strerror or error}") from error
    return removed


@contextlib.contextmanager
def _replace(path: Path) -> Iterator[IO[bytes]]:
    """Open a file beside another one, which takes its place at the end."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside, found = Path(name), path.stat()
    try:
        with open(descriptor, "wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=file, mode="wb", filename="") as compressed:
                    yield compressed  # type: ignore[misc]  # it writes bytes as well
            else:
                yield file
        beside.chmod(stat.S_IMODE(found.st_mode))
        with contextlib.suppress(OSError, AttributeError):  # who may not give it away keeps it
            os.chown(name, found.st_uid, found.st_gid)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def _lock_alone(path: Path) -> Iterator[None]:
    """Keep everybody from writing a file; who has put another one in its place meanwhile is waited for, too."""
    while True:
        with path.open("rb") as held:
            lock_file(held.fileno(), alone=True)
            if os.path.samestat(os.fstat(held.fileno()), path.stat()):
                yield
                return


def _is_of_another(line: bytes, job_ids: Collection[str]) -> bool:
    event = parse_event(line)
    return event is not None and event["job_id"] not in job_ids


def remove_recordings(folder: Path, job_ids: Collection[str]) -> list[Path]:
    """Remove what is recorded of some calls, in files or folders that are named for them; return what was removed.

    Args:
        folder: Where recordings are, perhaps of others as well.
        job_ids: The calls.

    Raises:
        OpenRTCError: Something cannot be removed.
    """
    removed: list[Path] = []
    try:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.name.partition(".")[0] in job_ids:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                removed.append(path)
    except OSError as error:
        raise OpenRTCError(f"a recording in {folder} cannot be removed: {error.strerror or error}") from error
    return removed
