"""What is installed while a worker runs: by pip, also as editable, whose folders Python looks up at its start only."""

from __future__ import annotations

import importlib
import os
import re
import site
import sys
from collections.abc import Iterable, Mapping

from openrtc.discovery.entries import Entry
from openrtc.discovery.own_files import SITE

_FINDER = re.compile(r"^import\s+(\w+)", re.MULTILINE)
"""How setuptools installs the finder of an editable installation."""

InstalledState = Mapping[str, tuple[int, ...]]
"""By the path of each metadata folder and ``.pth``, when it was written and whether it is whole."""


class InstalledLook:
    """Tells what is installed; a place in which nothing was made or removed is not listed again."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[int, dict[str, tuple[int, ...]]]] = {}

    def look(self, entries: Iterable[Entry]) -> InstalledState:
        """Return what tells whether anything has been installed, changed or removed since.

        Args:
            entries: The known entry points, whose files are looked at one by one.
        """
        found: dict[str, tuple[int, ...]] = {}
        for place in dict.fromkeys(sys.path):
            time, known = _read_time(place or os.curdir), self._places.get(place)
            # pip writes the list of a distribution's files last.
            if known is None or known[0] != time or not all(marks[1] for marks in known[1].values()):
                known = self._places[place] = (time, _list(place))
            found.update(known[1])
        for path in {os.path.join(entry.folder, "entry_points.txt") for entry in entries}:
            found[path] = (_read_time(path), 1)
        return found


def _list(place: str) -> dict[str, tuple[int, ...]]:
    try:
        names = [name for name in os.listdir(place or os.curdir) if name.endswith((".dist-info", ".egg-info", ".pth"))]
    except OSError:  # an archive, or it is gone
        return {}
    paths = [os.path.join(place, name) for name in names]
    return {path: (_read_time(path), _read_time(_find_last(path))) for path in paths}


def _find_last(path: str) -> str:
    """Return the file without which a metadata folder is not whole."""
    return os.path.join(path, "RECORD") if path.endswith(".dist-info") else path


def is_whole(before: InstalledState, now: InstalledState) -> bool:
    """Whether pip has come to its end with everything that is new: it writes the list of the files last."""
    return all(marks[1] or before.get(path) == marks for path, marks in now.items())


def follow_path_files(before: InstalledState, now: InstalledState) -> None:
    """Do what Python does at its start with each ``.pth`` that is new or has changed."""
    for path, marks in now.items():
        folder = os.path.dirname(path)
        if path.endswith(".pth") and os.path.basename(folder) in SITE and before.get(path) != marks:
            _forget_finders(path)
            site.addpackage(folder, os.path.basename(path), None)
    importlib.invalidate_caches()


def find_changed(
    before: Iterable[Entry], now: Iterable[Entry], state_before: InstalledState, state_now: InstalledState
) -> set[str]:
    """Return the names of the distributions that were installed anew, changed or removed.

    Args:
        before: The entry points as they were known.
        now: As they are.
        state_before: What was installed then.
        state_now: What is installed.
    """
    old, new = set(before), set(now)
    changed = {entry.distribution for entry in old ^ new}
    for entry in old & new:
        if any(_mark(entry, state_before, name) != _mark(entry, state_now, name) for name in ("", "entry_points.txt")):
            changed.add(entry.distribution)
    return changed


def _mark(entry: Entry, state: InstalledState, name: str) -> tuple[int, ...] | None:
    return state.get(os.path.join(entry.folder, name) if name else entry.folder)


def _forget_finders(path: str) -> None:
    """Take away what an earlier version of a ``.pth`` has installed: it knows the folders of that version only."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            modules = _FINDER.findall(file.read(100_000))
    except OSError:
        return
    for module in modules:
        if module.startswith("__editable__") and sys.modules.pop(module, None):
            sys.meta_path[:] = [one for one in sys.meta_path if getattr(one, "__module__", "") != module]


def _read_time(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
