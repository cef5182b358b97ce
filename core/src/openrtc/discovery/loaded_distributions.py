"""What this process has loaded of each distribution, and what became of that on the disk since."""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from openrtc.discovery.claimed_files import list_recorded
from openrtc.discovery.entries import Entry
from openrtc.discovery.installed import Installation, compare_key, find_installed, is_complete
from openrtc.discovery.metadata import ENTRY_POINTS, LARGEST_FILE
from openrtc.discovery.metadata_folders import Installed, read_file
from openrtc.discovery.module_owners import ModuleOwner, find_owners
from openrtc.discovery.own_files import SITE, module_of
from openrtc.model.names import normalise_name

REMEMBERED_SECONDS = 10.0
"""For so long is remembered what became of a distribution, while nothing is installed or removed beside it: to look at
all that is installed takes 10 ms."""

FileMark = tuple[int, ...]
"""Times and sizes by which a file or folder is told from another one in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What is installed of a distribution is another one than this process has loaded.

    Args:
        distribution: Its name.
        what: ``upgraded``, ``downgraded``, ``changed`` (other code of the same version), ``removed``, or
            ``installed``: nothing of it was there.
        loaded_version: The version that was loaded; empty for ``installed``.
        installed_version: The version that is installed; empty for ``removed``.
        agents: The agents that its entry points name now.
    """

    distribution: str
    what: str
    loaded_version: str = ""
    installed_version: str = ""
    agents: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it in half a line, of "this worker"."""
        if self.what == "removed":
            return f"{self.distribution} {self.loaded_version} was removed after this worker loaded it"
        if self.what == "changed":
            return f"{self.distribution} {self.loaded_version} was changed after this worker loaded it"
        new = f"{self.distribution} {self.installed_version} was installed after this worker"
        return f"{new} loaded {self.loaded_version}" if self.loaded_version else f"{new} started"

    def tell_since_start(self) -> str:
        """Return it in half a line for who goes by what is installed, and wonders about a worker."""
        if self.loaded_version == self.installed_version or not (self.loaded_version and self.installed_version):
            return str(self)
        new = f"{self.distribution} {self.installed_version} was installed after this worker started"
        return f"{new} with {self.loaded_version}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {**asdict(self), "agents": list(self.agents)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return what `to_json` gave in another process."""
        return cls(**{**value, "agents": tuple(value["agents"])})


@dataclass(frozen=True, slots=True)
class LoadedDistribution:
    """A distribution as it was when this process loaded it.

    Args:
        installed: Where its metadata is, with its name and version.
        speaks: Whether it has agents or plugins; else it is a library, which counts where it is imported.
        mark: By which its metadata folder is told from another one.
        code: A digest of what it is said to consist of.
    """

    installed: Installed
    speaks: bool
    mark: FileMark
    code: int = 0


class LoadedDistributions:
    """The distributions that this process has loaded something of; for use from any thread.

    Args:
        known: Those that were installed, by their normalised names.
    """

    def __init__(self, known: Mapping[str, LoadedDistribution]) -> None:
        self._known = dict(known)
        self._sources: dict[str, dict[str, tuple[FileMark, int]]] = {}
        self._found: dict[str, tuple[float, FileMark, Drift]] = {}
        self.owners: dict[str, tuple[ModuleOwner, ...]] = {}
        """Whose the packages are, and the modules in none, as far as `note_modules` has noted it."""

    @classmethod
    def from_entries(cls, entries: Iterable[Entry], installation: Installation | None = None) -> Self:
        """Return what is installed now, of which a process is about to load something.

        Args:
            entries: The entry points of which it imports those that are usable.
            installation: What `find_installed` has found for them.
        """
        used = _list_wanted(entries)
        found = (installation or find_installed()).distributions
        return cls({key: _note(one, key in used) for key, one in found.items() if one.folder})

    def add(self, entries: Iterable[Entry]) -> None:
        """Note distributions that this process has loaded later, as they are installed now.

        Args:
            entries: Their entry points.
        """
        later = type(self).from_entries(entries)
        self._known = {**later._known, **self._known, **{key: one for key, one in later._known.items() if one.speaks}}
        self._found = {}
        if self.owners:
            self.note_modules()

    @property
    def speaking(self) -> frozenset[str]:
        """The normalised names of those that have agents or plugins."""
        return frozenset(key for key, one in list(self._known.items()) if one.speaks)

    def note_modules(self) -> None:
        """Note which modules are whose: when a distribution has been replaced, nothing tells any more."""
        unchanged = [one.installed for key, one in self._known.items() if self.find_drift(key) is None]
        self.owners = {**self.owners, **find_owners(unchanged)}

    def __getstate__(self) -> dict[str, Any]:
        """Return what a job process gets: the same, but what is in no plain folder."""
        known = {key: one for key, one in list(self._known.items()) if one.installed.source is None}
        return {**vars(self), "_known": known, "_found": {}}

    def note_sources(self, files: Mapping[str, Iterable[str]]) -> None:
        """Note the sources that were imported of distributions that are installed as editable.

        Args:
            files: The files of imported modules, by the names of their distributions.
        """
        for name, paths in files.items():
            one = self._known.get(normalise_name(name))
            if one and one.speaks and normalise_name(name) not in self._sources:
                here = os.path.realpath(one.installed.place)
                edited = [path for path in paths if not _is_listed(path, here)]
                self._sources[normalise_name(name)] = {path: (_mark_file(path), _sum_up(path)) for path in edited}

    def get(self, name: str) -> LoadedDistribution | None:
        """Return a distribution as it was when it was loaded; None where it was not installed then.

        Args:
            name: Its name.
        """
        return self._known.get(name) or self._known.get(normalise_name(name))

    def version_of(self, name: str) -> str:
        """Return the version of a distribution that was installed when this process loaded it; empty for none.

        Args:
            name: Its name.
        """
        one = self.get(name)
        return one.installed.version if one else ""

    def find_drift(self, name: str) -> Drift | None:
        """Return what became of one distribution; None where it is as it was loaded. Usually that takes one `os.stat`.

        Also while it is being installed, when it counts as removed.

        Args:
            name: Its name.
        """
        one = self.get(name)
        if one is None or _mark_metadata(one.installed, one.speaks) == one.mark:
            return None
        key, place = one.installed.key, _mark_file(one.installed.place)
        if (before := self._found.get(key)) and before[1] == place and time.monotonic() < before[0]:
            return before[2]
        installation = find_installed()
        now = installation.distributions.get(key)
        if now is not None and not is_complete(now):
            return _build_removed(one)
        if found := self._compare(one, now, installation):
            self._found[key] = time.monotonic() + REMEMBERED_SECONDS, place, found
        return found

    def is_as_loaded(self, folders: Iterable[str]) -> bool:
        """Whether nothing was installed, changed or removed since; where it is not sure, `look` tells.

        Args:
            folders: The metadata folders of all that is installed.
        """
        known = list(self._known.values())
        if {*folders} - {one.installed.folder for one in known} or any(self._list_edited()):
            return False
        return all(_mark_metadata(one.installed, one.speaks) == one.mark for one in known)

    def list_edited(self) -> frozenset[tuple[str, str, int]]:
        """Return the sources that are not what `note_sources` has noted: the name, the file, a sum of what is in it."""
        return frozenset(self._list_edited())

    def look(self, later: Iterable[Entry] = ()) -> list[Drift]:
        """Return what is installed otherwise than this process has loaded it, in the order of the names.

        What is only half installed, or half taken away, counts when that is done.

        Args:
            later: The entry points that are installed now. A distribution that was not there before counts where the
                operator has not switched it off.
        """
        later = list(later)
        moved = [key for key, one in list(self._known.items()) if _mark_metadata(one.installed, one.speaks) != one.mark]
        fresh = _list_wanted(later) - {key for key, one in list(self._known.items()) if one.speaks}
        edited = {key for key, _, _ in self.list_edited()}
        installation = find_installed() if moved or fresh or edited else Installation()
        found: dict[str, Drift | None] = {}
        for key in moved:
            one, now = self._known[key], installation.distributions.get(key)
            if now is None or is_complete(now):
                found[key] = self._compare(one, now, installation)
        for key in fresh:
            if (now := installation.distributions.get(key)) and is_complete(now) and not found.get(key):
                version = _read_version(now, installation)
                found[key] = Drift(distribution=now.name, what="installed", installed_version=version)
        for key in edited - {key for key, drift in found.items() if drift}:
            version = self._known[key].installed.version
            name = self._known[key].installed.name
            found[key] = Drift(distribution=name, what="changed", loaded_version=version, installed_version=version)
        agents: dict[str, list[str]] = {}
        for entry in later:
            if entry.is_agent and entry.usable:
                agents.setdefault(normalise_name(entry.distribution), []).append(entry.name)
        return [_with_agents(drift, agents.get(key, ())) for key, drift in sorted(found.items()) if drift]

    def _compare(self, one: LoadedDistribution, now: Installed | None, installation: Installation) -> Drift | None:
        name, before = _read_name(one), one.installed.version
        if now is None:
            return _build_removed(one) if one.speaks or self._has_lost_modules(one.installed) else None
        version = _read_version(now, installation)
        if version != before and (one.speaks or _is_imported(now)):
            what = "upgraded" if compare_key(version) > compare_key(before) else "downgraded"
            return Drift(distribution=name, what=what, loaded_version=before, installed_version=version)
        if one.speaks and _sum_up_code(now) != one.code:
            return Drift(distribution=name, what="changed", loaded_version=before, installed_version=before)
        self._known[one.installed.key] = _note(now, one.speaks)  # the same again, or a library that nobody has imported
        return None

    def _has_lost_modules(self, one: Installed) -> bool:
        """Whether a module was imported of a library that is gone; nothing says any more which files it had."""
        lost, own = set(_list_lost_tops(one.place)), one.key.replace("-", "_")
        return own in lost or any(top.lower().replace("_", "-") not in self._known for top in lost)

    def _list_edited(self) -> Iterator[tuple[str, str, int]]:
        for key, files in list(self._sources.items()):
            for path, (mark, content) in files.items():
                # An editor that saves the same again, or a `git checkout` there and back, changes nothing.
                if _mark_file(path) != mark and (now := _sum_up(path)) != content:
                    yield key, path, now


def _list_wanted(entries: Iterable[Entry]) -> set[str]:
    """Return the distributions whose agents and plugins are loaded where they can be."""
    return {normalise_name(one.distribution) for one in entries if not (one.status.switched_off or one.is_command)}


def _note(one: Installed, speaks: bool) -> LoadedDistribution:
    return LoadedDistribution(one, speaks, _mark_metadata(one, speaks), _sum_up_code(one) if speaks else 0)


def _build_removed(one: LoadedDistribution) -> Drift:
    return Drift(distribution=_read_name(one), what="removed", loaded_version=one.installed.version)


def _read_name(one: LoadedDistribution) -> str:
    """Return a name, of a library as people write it: that of its folder has other characters."""
    return one.installed.name if one.speaks else one.installed.key


def _with_agents(drift: Drift, agents: Iterable[str]) -> Drift:
    return Drift(**{**asdict(drift), "agents": tuple(agents)})


def _read_version(one: Installed, installation: Installation) -> str:
    """Return a version, of what speaks of OpenRTC as its metadata has it."""
    speaking = (each for each in installation.speaking if each.installed.folder == one.folder)
    return next((each.metadata.version for each in speaking if each.metadata.version), one.version)


def _mark_metadata(one: Installed, speaks: bool) -> FileMark:
    # What setuptools writes into a project's folder is written into the same folder again.
    files = ("", f"/{ENTRY_POINTS}") if speaks else ("",)
    return tuple(part for file in files for part in _mark_file(f"{one.folder}{file}"))


def _mark_file(path: str) -> FileMark:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return found.st_mtime_ns, found.st_size, found.st_ino


def _sum_up_code(one: Installed) -> int:
    """Return a digest of the files that a distribution is said to have, and of its entry points."""
    code = sorted(f"{path} {digest}" for path, digest in list_recorded(one) if _is_code(path))
    # Not `hash`, which is another one in each process.
    return zlib.crc32(read_file(one, ENTRY_POINTS, LARGEST_FILE), zlib.crc32("\n".join(code).encode()))


def _is_code(path: str) -> bool:
    # What pip writes of itself, and what Python compiles, tells nothing of the code.
    return ".dist-info" not in path and not path.endswith(".pyc")


def _sum_up(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return zlib.crc32(file.read())
    except OSError:
        return -1


def _is_listed(path: str, place: str) -> bool:
    """Whether a file is where pip has put it, so that the list of the distribution's files tells of it."""
    return os.path.realpath(path).startswith(place.rstrip(os.sep) + os.sep) and os.path.basename(place) in SITE


def _list_module_files() -> Iterator[str]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(file, str):
            yield file


def _is_imported(one: Installed) -> bool:
    """Whether a module has been imported that is a file of a distribution, as it is installed now."""
    files = {os.path.normpath(file) for file in _list_module_files()}
    return any(os.path.join(one.place, path) in files for path, _ in list_recorded(one))


def _list_lost_tops(place: str) -> Iterator[str]:
    """Yield the top-level modules in a place of which the file of an imported module is gone."""
    start = place.rstrip(os.sep) + os.sep
    for file in _list_module_files():
        if file.startswith(start) and not os.path.exists(file):
            yield module_of(file.removeprefix(start))
