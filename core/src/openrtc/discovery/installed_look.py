"""Tells cheaply whether anything was installed, changed or removed: by the times of metadata folders and ``.pth``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping

from openrtc.discovery.entries import Entry

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


def _read_time(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
