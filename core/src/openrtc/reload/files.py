"""Which files of packages have changed: code, prompts and data, by what is in them and not by when they were saved."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

from openrtc.discovery.own_files import SITE

IGNORED_FOLDERS = frozenset({"__pycache__", "node_modules", "build", "dist", "site-packages", "venv", "env"})
"""Folders, besides hidden ones and environments, in which nobody edits what an agent reads."""
IGNORED_ENDINGS = (
    *(".pyc", ".pyo", ".pyd", ".so", ".dll"),
    *("~", ".swp", ".swx", ".swo", ".tmp", ".bak", ".orig", ".part", ".lock"),
    *(".db", ".db-wal", ".db-shm", ".db-journal", ".sqlite", ".sqlite3", ".log", ".jsonl"),
)
"""What Python, editors and agents themselves write."""
LARGEST = 4_000_000
"""Bytes of a file that is compared by what is in it; larger ones, such as recordings, by size and time."""
MOST_FILES = 20_000
"""Of more files in one place only the first ones are looked at."""

_Mark = tuple[int, int, int]


class Files:
    """The files in some places, as they were when they were last looked at."""

    def __init__(self) -> None:
        self._marks: dict[str, _Mark] = {}
        self._contents: dict[str, bytes] = {}
        self._places: set[str] = set()
        self.folders: set[str] = set()

    def look(self, places: Iterable[str]) -> set[str]:
        """Return the files that have been changed, made or removed since the last look.

        Args:
            places: Folders and files. What is in a place that was not looked at before has not changed.
        """
        changed: set[str] = set()
        self.folders = set()
        known, places = self._places, set(places)
        self._places = places
        seen: set[str] = set()
        for place in places:
            for path, mark in self._list(place):
                seen.add(path)
                if self._marks.get(path) == mark:
                    continue
                content = _read(path, mark)
                is_new = path not in self._marks
                if place in known and (is_new or self._contents.get(path) != content):
                    changed.add(path)
                self._marks[path], self._contents[path] = mark, content
        for path in self._marks.keys() - seen:
            del self._marks[path], self._contents[path]
            if any(_is_in(path, place) for place in known & places):
                changed.add(path)
        return changed

    def list_since(self, seconds: float) -> set[str]:
        """Return the files that were saved since a time, in seconds since the epoch."""
        return {path for path, mark in self._marks.items() if mark[0] >= seconds * 1e9}

    def _list(self, place: str) -> Iterator[tuple[str, _Mark]]:
        if os.path.isfile(place):
            self.folders.add(os.path.dirname(place))
            yield from _mark(place)
            return
        waiting, count = [place], 0
        while waiting and count < MOST_FILES:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as entries:
                    inside = list(entries)
            except OSError:  # it is gone, or nobody may look into it
                continue
            if folder != place and any(entry.name == "pyvenv.cfg" for entry in inside):
                continue
            self.folders.add(folder)
            for entry in inside:
                count += 1
                if _is_folder(entry):
                    if not _is_ignored_folder(entry.name):
                        waiting.append(entry.path)
                elif not entry.name.startswith(".") and not entry.name.endswith(IGNORED_ENDINGS):
                    yield from _mark(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_ignored_folder(name: str) -> bool:
    return name.startswith(".") or name in IGNORED_FOLDERS or name in SITE or name.endswith(("-info", ".egg"))


def _mark(path: str) -> Iterator[tuple[str, _Mark]]:
    try:
        state = os.stat(path)
    except OSError:  # it has gone meanwhile
        return
    yield path, (state.st_mtime_ns, state.st_size, state.st_ino)


def _read(path: str, mark: _Mark) -> bytes:
    if mark[1] > LARGEST:
        return repr(mark).encode()
    try:
        with open(path, "rb") as file:
            return hashlib.blake2b(file.read(), digest_size=16).digest()
    except OSError:
        return b""


def _is_in(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip(os.sep) + os.sep)
