"""Which names a new package may have."""

from __future__ import annotations

import importlib.util
import keyword
import os
import sys
from collections.abc import Iterable
from contextlib import suppress

from openrtc.discovery.entries import Entry
from openrtc.discovery.installed import find_named
from openrtc.errors import OpenRTCError, one_line
from openrtc.install_commands import OURS
from openrtc.model.names import NAMESAKE, find_name_fault, normalise_name

LONGEST_NEW_NAME = 40
"""Characters: the name stands in lines of code, which then keep to the style that is checked."""

OUR_MODULES = (NAMESAKE, "livekit", "tests")
"""Modules that are there, or will be, though the environment may not have them."""


def name_package(name: str, entries: Iterable[Entry], *, is_agent: bool) -> tuple[str, str]:
    """Return the names of a new distribution and of its module.

    Args:
        name: As somebody has typed it.
        entries: The installed agents and plugins.
        is_agent: Whether the package brings an agent of this name.

    Raises:
        OpenRTCError: It cannot be a name, or is taken.
    """
    key = normalise_name(name)
    module = key.replace("-", "_")
    if fault := find_name_fault(name) or _find_fault(key, module):
        raise OpenRTCError(fault, origin="NAME", fix="such as flower-shop; --into says where it is made")
    if taken := _find_taken(key, module, entries if is_agent else ()):
        raise OpenRTCError(f'the name "{one_line(key)}" is taken: {taken}', origin="NAME", fix="take another one")
    return key, module


def _find_fault(key: str, module: str) -> str | None:
    if len(key) > LONGEST_NEW_NAME:
        return f"the name has {len(key)} characters, more than {LONGEST_NEW_NAME}"
    if not key[0].isalnum() or not key[-1].isalnum():
        return f'"{key}" cannot be the name of a distribution, which begins and ends with a letter or digit'
    if not module.isidentifier() or keyword.iskeyword(module):
        return f'"{key}" cannot be the name of a package, since Python cannot import "{module}"'
    return None


def _find_taken(key: str, module: str, entries: Iterable[Entry]) -> str | None:
    if key in find_named():
        return "a distribution of this name is installed"
    if key in OURS:
        return "it is a distribution of OpenRTC's own"
    if module in sys.stdlib_module_names:
        return f"Python has a module {module} of its own"
    if module in OUR_MODULES or _is_importable(module):
        return f"there is a module {module}"
    owner = next((entry.distribution for entry in entries if entry.is_agent and entry.name == key), None)
    return owner and f"{owner} brings an agent of this name"


def _is_importable(module: str) -> bool:
    """Whether Python finds a module; a folder of the current one, of which it would make a name space, is none."""
    with suppress(ImportError, ValueError):
        found = importlib.util.find_spec(module)
        places = list(found.submodule_search_locations or ()) if found else []
        return found is not None and (found.origin is not None or any(not _is_here(place) for place in places))
    return False


def _is_here(place: str) -> bool:
    return os.path.dirname(os.path.abspath(place)) == os.getcwd()
