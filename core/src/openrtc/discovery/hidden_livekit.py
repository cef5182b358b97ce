"""Finds who ships ``livekit/__init__.py``, which hides the name space of livekit, and makes all of it visible again.

`livekit` and `livekit.plugins` are folders of many distributions, in several places. One ``__init__.py`` in such a
folder, and Python looks into that folder only: whoever imports livekit-agents would be blamed for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec

from openrtc.discovery.claimed_files import list_recorded
from openrtc.discovery.metadata_folders import Installed
from openrtc.discovery.own_files import find_own_files, is_within
from openrtc.errors import one_line
from openrtc.model.status import State, Status

LIVEKIT_NAMES = ("livekit", "livekit.plugins")


def show_livekit() -> None:
    """Let everybody import all of livekit, whoever hides it; imports nothing."""
    for name in LIVEKIT_NAMES:
        folders = _list_folders(name)
        if not any(map(_has_init, folders)):
            continue
        module = sys.modules.get(name)
        if module is None:
            module = sys.modules[name] = module_from_spec(ModuleSpec(name, None, is_package=True))
            module.__path__ = folders
            parent, _, last = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], last, module)
        elif hasattr(module, "__path__"):
            module.__path__ = list(dict.fromkeys([*module.__path__, *folders]))


def find_hiding(installed: Iterable[Installed]) -> tuple[dict[str, Status], list[str]]:
    """Return what is wrong with each distribution that hides livekit, by its name; and the files that are nobody's.

    Args:
        installed: All that is installed.
    """
    files = [f"{folder}/__init__.py" for name in LIVEKIT_NAMES for folder in _list_folders(name) if _has_init(folder)]
    found: dict[str, Status] = {}
    nobodys = []
    installed = list(installed) if files else ()
    for file in files:
        owners = [one for one in installed if _ships(one, file)]
        for one in owners:
            path = os.path.relpath(file, one.place) if is_within(file, one.place) else os.path.basename(file)
            reason = one_line(f"its file {path} hides livekit, a name space of many distributions")
            fix = f"take that file out of {one.name}, and install it again"
            found.setdefault(one.key, Status(State.CONFLICT, reason, fix, file))
        if not owners:
            nobodys.append(file)
    return found, nobodys


def _list_folders(name: str) -> list[str]:
    path: list[object] = list(sys.path)  # a package may have put anything there
    folders = (os.path.join(place, *name.split(".")) for place in path if isinstance(place, str))
    return [folder for folder in dict.fromkeys(folders) if os.path.isdir(folder)]


def _has_init(folder: str) -> bool:
    return os.path.isfile(f"{folder}/__init__.py")


def _ships(one: Installed, file: str) -> bool:
    if one.place and is_within(file, one.place):
        path = os.path.relpath(file, one.place)
        return one.folder.endswith(".egg-info") or any(path == recorded for recorded, _ in list_recorded(one))
    return bool(one.folder) and any(is_within(file, folder) for folder in find_own_files(one).folders)
