"""Finds which files are a distribution's own: those of its RECORD, or all in an editable installation's folders."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.machinery import all_suffixes
from urllib.parse import urlsplit

from openrtc.discovery.claimed_files import list_recorded
from openrtc.discovery.installed import read_origin
from openrtc.discovery.metadata_folders import Installed, read_file

SITE = ("site-packages", "dist-packages")
"""The folders in which distributions of all kinds stand side by side."""
LARGEST_LIST = 100_000
"""Bytes that are read of a ``.pth`` or a ``top_level.txt``; real ones have a few lines."""
NEVER = ("", ".", "..", "__pycache__")

_FINDER = re.compile(r"import\s+(\w+)")
"""How a line of a ``.pth`` begins that runs code: setuptools imports the finder of an editable installation so."""


@dataclass(slots=True)
class OwnFiles:
    """Which files are a distribution's own.

    Args:
        names: Its top-level modules, each with the folder that it is in, among those of others.
        folders: Folders in which everything is its own.
    """

    names: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)

    def holds(self, path: str) -> bool:
        """Whether a file or folder is one of them."""
        for folder in self.folders:
            if is_within(path, folder) and not any(
                is_within(path, deeper) and is_within(deeper, folder) and deeper != folder for deeper in sys.path
            ):  # an environment inside of a project's folder is not the project's
                return True
        return any(
            is_within(path, place) and module_of(os.path.relpath(path, place)) == name
            for name, place in self.names.items()
        )


def is_within(path: str, folder: str) -> bool:
    """Whether a path is a folder, or below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def module_of(path: str) -> str:
    """Return the top-level module that a relative path belongs to, as ``agent`` of ``agent.py`` and ``agent/x.py``."""
    top = path.replace("\\", "/").partition("/")[0]
    return next((top.removesuffix(suffix) for suffix in _SUFFIXES if top.endswith(suffix)), top)


_SUFFIXES = sorted(all_suffixes(), key=len, reverse=True)


def find_own_files(one: Installed) -> OwnFiles:
    """Return which files are a distribution's own; imports nothing.

    Args:
        one: The distribution, with a metadata folder.
    """
    if one.folder.endswith(".egg-info"):
        if os.path.basename(one.place) in SITE:
            return OwnFiles(names=dict.fromkeys(_read_top_level(one), one.place))
        return OwnFiles(folders=[one.place])  # setup.py develop, which puts the project's folder on the path
    paths = [path for path, _ in list_recorded(one)]
    found = OwnFiles(names=dict.fromkeys(_list_modules(paths), one.place))
    if not paths:
        found.names = dict.fromkeys(_read_top_level(one), one.place)
    if project := _find_project(one):
        lists = [path for path in paths if path.endswith(".pth")]
        listed = [folder for path in lists for folder in _read_folders(one.place, path)]
        found.folders = list(dict.fromkeys(listed)) or [
            folder for folder in (project, os.path.join(project, "src")) if os.path.isdir(folder)
        ]
    return found


def _list_modules(paths: list[str]) -> Iterator[str]:
    for path in paths:
        folder, _, name = path.replace("\\", "/").rpartition("/")
        is_code = name.endswith(tuple(_SUFFIXES))
        if is_code and (module := module_of(path)) not in NEVER and not folder.endswith("__pycache__"):
            yield module


def _read_top_level(one: Installed) -> list[str]:
    text = read_file(one, "top_level.txt", LARGEST_LIST).decode("utf-8", "replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _find_project(one: Installed) -> str | None:
    """Return the folder of the project that an editable installation is of."""
    origin = read_origin(one)
    if not (isinstance(info := origin.get("dir_info"), dict) and info.get("editable")):
        return None
    url = urlsplit(str(origin.get("url", "")))
    if url.scheme != "file":
        return None
    from urllib.request import url2pathname  # it imports what takes a tenth of the time of ``list-agents``

    return url2pathname(url.path)


def _read_folders(place: str, path: str) -> Iterator[str]:
    """Yield the folders that a ``.pth`` puts on the path, and those that the finder looks into that it installs."""
    try:
        with open(os.path.join(place, path), encoding="utf-8", errors="replace") as file:
            lines = file.read(LARGEST_LIST).splitlines()
    except OSError:
        return
    for line in lines:
        if found := _FINDER.match(line):
            yield from _list_mapped(found[1])
        elif line.strip() and not line.startswith("#"):
            yield os.path.abspath(os.path.join(place, line.strip()))


def _list_mapped(finder: str) -> Iterator[str]:
    """Yield the folders of the modules that a finder of setuptools knows, which Python imported when it started."""
    known = vars(sys.modules[finder]) if finder in sys.modules else {}
    mapping, namespaces = known.get("MAPPING"), known.get("NAMESPACES")
    for name, path in mapping.items() if isinstance(mapping, dict) else ():
        depth = str(name).count(".") + 1
        yield os.path.abspath(os.path.join(str(path), *[os.pardir] * depth))
    for name, paths in namespaces.items() if isinstance(namespaces, dict) else ():
        depth = str(name).count(".") + 1
        yield from (os.path.abspath(os.path.join(str(path), *[os.pardir] * depth)) for path in paths)
