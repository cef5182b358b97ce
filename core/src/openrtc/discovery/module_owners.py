"""Which modules are whose, as the lists of the distributions' files say; a hundred distributions take 15 ms."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from openrtc.discovery.claimed_files import LARGEST_RECORD, NAME_SPACES
from openrtc.discovery.metadata_folders import Installed, read_file
from openrtc.discovery.own_files import find_own_files, module_of

SMALL_RECORD = 20_000
"""Bytes of a RECORD of which each line is looked at: of a larger one only packages and top-level modules are, since
distributions with hundreds of files have packages."""

_FILE = rb'([^,\n"/.]+)\.(?:[^,\n"/]*\.)?(?:py|so|pyd)"?,'  # such as x.py and x.cpython-311-x86_64-linux-gnu.so
_MODULE = re.compile(rb'^"?((?:[^,\n"/]+/)*)' + _FILE, re.MULTILINE)
_TOP_LEVEL = re.compile(rb'^"?()' + _FILE, re.MULTILINE)
_PACKAGE = b"/__init__.py"


class ModuleOwner(NamedTuple):
    """Whose a module is, with all that is below it.

    Args:
        key: Normalised name of the distribution.
        folders: The folders in which its own modules are.
        certain: Whether a module of that name in these folders is its own, so that nobody has to look where it is.
    """

    key: str
    folders: tuple[str, ...] = ()
    certain: bool = True


def find_owners(distributions: Iterable[Installed]) -> dict[str, tuple[ModuleOwner, ...]]:
    """Return whose the modules are that distributions bring, by the names of packages and of modules in none.

    Args:
        distributions: Those that are installed, each with its folder.
    """
    found: dict[str, tuple[ModuleOwner, ...]] = {}
    for one in distributions:
        record = read_file(one, "RECORD", LARGEST_RECORD) if one.folder.endswith(".dist-info") else b""
        owner = ModuleOwner(one.key, (one.place,))
        own = dict.fromkeys(_list_modules(record), owner)
        if not record or b".pth," in record:
            own |= dict(_list_edited(one))
        for module, each in own.items():
            found[module] = (*found.get(module, ()), each)
    return {module: owners if len(owners) == 1 else _make_uncertain(owners) for module, owners in found.items()}


def _make_uncertain(owners: Iterable[ModuleOwner]) -> tuple[ModuleOwner, ...]:
    return tuple(owner._replace(certain=False) for owner in owners)


def _list_modules(record: bytes) -> Iterator[str]:
    """Yield the packages that are in no other one, and the modules that are in none."""
    folders: set[bytes] = set()
    at = record.find(_PACKAGE)
    while at >= 0:
        start = record.rfind(b"\n", 0, at) + 1
        folders.add(record[start:at].lstrip(b'"') + b"/")
        at = record.find(_PACKAGE, at + 1)
    outermost: list[bytes] = []
    for folder in sorted(folders):
        if not outermost or not folder.startswith(outermost[-1]):
            outermost.append(folder)
    within = tuple(outermost)
    single = (_MODULE if len(record) <= SMALL_RECORD else _TOP_LEVEL).findall(record)
    paths = [*(folder[:-1] for folder in within), *(at + name for at, name in single if not at.startswith(within))]
    for path in paths:
        name = path.decode("utf-8", "replace").replace("/", ".")
        if all(part.isidentifier() for part in name.split(".")):  # nobody imports other files by name
            yield name


def _list_edited(one: Installed) -> Iterator[tuple[str, ModuleOwner]]:
    """Yield what is in the folders of an editable installation."""
    own = find_own_files(one)
    for name, place in own.names.items():
        yield name, ModuleOwner(one.key, (place,))
    folders = tuple(own.folders)
    for folder in folders:
        with contextlib.suppress(OSError):  # it is gone: nothing is found there
            for name in map(module_of, os.listdir(folder)):
                if name.isidentifier() and name not in NAME_SPACES:
                    yield name, ModuleOwner(one.key, folders, certain=False)
