"""Lists the metadata of everything that is installed: each folder on `sys.path` as it stands on the disk.

Not by `importlib_metadata.distributions()`: it hides which of two folders speaks for a name, and its import alone takes
a third of ``list-agents``. It is asked for what is no plain folder: wheels and eggs on the path, and other finders.
"""

from __future__ import annotations

import importlib.machinery
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from openrtc.model.names import normalise_name

FOLDER = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py\d.*)?")
SUFFIXES = (".dist-info", ".egg-info")
LEFTOVER = ("~", "-")
"""How the names begin to which pip renames what it takes away, and leaves when it is interrupted: ``~y_agent``."""
READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""A pipe in the place of a file must not hold up everybody who lists what is installed."""


SMALL = 100_000
"""Bytes for which a buffer costs less than to ask how many there are."""


class Readable(Protocol):
    """What is used of importlib_metadata's distributions."""

    @property
    def name(self) -> str: ...
    def read_text(self, filename: str) -> str | None: ...


class Installed(NamedTuple):
    """One installed distribution, or what is left of one.

    Args:
        key: Normalised name.
        name: Its name, as its folder or its metadata writes it.
        version: Its version, likewise; empty when the folder does not say.
        place: The entry of `sys.path` that it is in.
        folder: Its metadata folder; empty where it has none.
        source: What reads its files where they are in no plain folder.
    """

    key: str
    name: str
    version: str
    place: str = ""
    folder: str = ""
    source: Readable | None = None

    def path_of(self, file: str) -> str:
        """Return the path of one of its metadata files, for a message."""
        return f"{self.folder or self.name}/{file}"

    @property
    def is_leftover(self) -> bool:
        """Whether pip has taken it away, but for its folder."""
        return self.name.startswith(LEFTOVER)


def list_installed() -> Iterator[Installed]:
    """Yield everything that is installed, in the order in which Python would find it; nothing is read."""
    met: set[str] = set()
    for finder in sys.meta_path:
        if finder is importlib.machinery.PathFinder:
            # What is no string, or cannot be a path, Python passes over likewise.
            entries: list[object] = list(sys.path)
            for entry in (one for one in entries if isinstance(one, str) and "\0" not in one):
                # Of two names of one folder, such as lib and lib64, the first counts.
                if (real := os.path.realpath(entry)) not in met:
                    met.add(real)
                    yield from _list_place(entry or os.curdir)
        elif hasattr(finder, "find_distributions") and not _is_for_paths(finder):
            yield from _list_elsewhere(finder)


def read_file(one: Installed, name: str, limit: int) -> bytes:
    """Return a metadata file, or its first ``limit`` + 1 bytes; empty where there is none or it cannot be read."""
    if one.source is None:
        return _read_path(f"{one.folder}/{name}" if name else one.folder, limit + 1)
    try:
        return (one.source.read_text(name) or "").encode()[: limit + 1]
    except UnicodeDecodeError as error:
        return error.object[: limit + 1]


def _read_path(path: str, most: int) -> bytes:
    """Return the first bytes of a file; of a thousand distributions, so without `open`, which takes twice as long."""
    try:
        descriptor = os.open(path, READ)
    except OSError:
        return b""
    try:
        return os.read(descriptor, most if most <= SMALL else min(most, os.fstat(descriptor).st_size))
    except OSError:  # it is a folder
        return b""
    finally:
        os.close(descriptor)


def _list_place(place: str) -> Iterator[Installed]:
    if place.endswith(".egg") or os.path.isfile(place):
        yield from _list_archive(place)
        return
    try:
        children = os.listdir(place)
    except OSError:  # it does not exist, or nobody may look into it
        return
    for child in children:
        if child.endswith("-info"):
            stem, dot, suffix = child.rpartition(".")
            if stem and f"{dot}{suffix}" in SUFFIXES:
                name, version = _split(stem)
                yield Installed(normalise_name(name), name, version, place, f"{place}/{child}")


def _split(stem: str) -> tuple[str, str]:
    """Return name and version of a metadata folder's name without its suffix."""
    name, _, version = stem.partition("-")
    if name and version and "-" not in version:  # as all but a few are: the pattern takes three times as long
        return name, version
    match = FOLDER.fullmatch(stem)
    return (match["name"], match["version"]) if match else (stem, "")


def _list_archive(place: str) -> Iterator[Installed]:
    """Yield what a wheel or an egg on the path holds."""
    import importlib_metadata

    for one in _list_foreign(lambda: importlib_metadata.distributions(path=[place])):
        yield one._replace(place=place)


def _list_elsewhere(finder: Any) -> Iterator[Installed]:
    import importlib_metadata

    # Its own class may want one, of either library; both have the same attributes, and no annotations.
    context: Any = importlib_metadata.DistributionFinder.Context
    return _list_foreign(lambda: finder.find_distributions(context()))


def _list_foreign(find: Callable[[], Iterable[Any]]) -> Iterator[Installed]:
    """Yield what a finder finds; one of somebody's own may fail in any way, and then has nothing to tell."""
    try:
        for source in find():
            folder = getattr(source, "_path", None)
            if name := _read_name(source):
                yield Installed(normalise_name(name), name, "", "", str(folder) if folder else "", source)
    except Exception:  # see the docstring
        return


def _read_name(source: Readable) -> str:
    try:
        return str(source.name or "")
    except Exception:
        return ""  # somebody's own may fail in any way: without a name, there is nothing to report about


def _is_for_paths(finder: Any) -> bool:
    """Whether a finder is Python's own or importlib_metadata's, which find what is on `sys.path`."""
    return (getattr(finder, "__module__", "") or "").startswith(("_frozen_importlib", "importlib_metadata"))
