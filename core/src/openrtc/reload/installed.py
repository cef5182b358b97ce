"""What is installed while a worker runs: by pip, also as editable, whose folders Python looks up at its start only."""

from __future__ import annotations

import importlib
import os
import re
import site
import sys
from collections.abc import Iterable

from openrtc.discovery.entries import Entry
from openrtc.discovery.installed_look import InstalledState
from openrtc.discovery.own_files import SITE

_FINDER = re.compile(r"^import\s+(\w+)", re.MULTILINE)
"""How setuptools installs the finder of an editable installation."""


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
