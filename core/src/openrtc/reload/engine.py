"""Imports edited packages anew in a running worker, all or nothing: `stage`, then `Staged.commit` or ``put_back``."""

from __future__ import annotations

import contextlib
import importlib
import linecache
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import Loaded, LoadedAgent, LoadedPlugin
from openrtc.discovery.discover import discover
from openrtc.discovery.entries import Entry
from openrtc.discovery.installed_look import InstalledLook, InstalledState, is_whole
from openrtc.model.names import normalise_name
from openrtc.model.status import State, Status
from openrtc.observe.log_guard import reattach
from openrtc.observe.package_code import note_packages
from openrtc.plugins.load import load
from openrtc.plugins.own_modules import (
    find_own_modules,
    forget_distribution,
    imported_name,
    know_distributions,
    list_packages,
    package_of,
)
from openrtc.reload.identity import note_reloaded
from openrtc.reload.installed import find_changed, follow_path_files
from openrtc.reload.modules import Group, Sources, TakenOut, find_dependents, find_groups
from openrtc.reload.origins import find_edited_origins, list_origins
from openrtc.runtime.runtime import Runtime

PrepareAgents = Callable[[Catalog, Collection[str]], dict[str, str]]
"""Prepares agents that were not there before; returns why that failed, by their names."""


class Broken(Exception):
    """The new code cannot be used, so that everything is as it was.

    Args:
        status: Why, and where.
        distributions: Whose code it is.
    """

    def __init__(self, status: Status, distributions: Sequence[str]) -> None:
        self.status = status
        self.distributions = tuple(distributions)
        where = f" at {status.location}" if status.location else ""
        super().__init__(f"{status.reason}{where}")


@dataclass(frozen=True, kw_only=True)
class Staged:
    """New code that is imported and not used yet.

    Args:
        runtime: What the calls share.
        loaded: Everything that is loaded, with the new code.
        catalog: Its agents.
        distributions: The distributions that were loaded anew.
        agents: The agents of these that are there now.
        gone: Those that are there no more.
        unusable: What of these cannot be used, and was not usable before either.
        restart: What a restart alone brings, each in half a line.
        taken_out: The old modules.
    """

    runtime: Runtime
    loaded: Loaded
    catalog: Catalog
    distributions: tuple[str, ...]
    agents: tuple[str, ...]
    gone: tuple[str, ...]
    unusable: tuple[LoadedAgent | LoadedPlugin, ...]
    restart: tuple[str, ...]
    taken_out: TakenOut

    def commit(self) -> None:
        """Let further calls use the new code; on the loop of the calls."""
        note_reloaded(self.taken_out.modules)
        self.runtime.use(self.loaded, self.catalog, self.distributions)

    def put_back(self) -> None:
        """Let everything be as it was."""
        self.taken_out.put_back()


class Engine:
    """Knows which files make which agents, and imports these anew.

    Args:
        runtime: What the calls share.
        prepare: Prepares agents that were not there before; returns why that failed, by their names.
        reads: Whether it reads now what each module imports, as `stage` needs it; `stage_new` does without.
    """

    def __init__(
        self,
        runtime: Runtime,
        prepare: PrepareAgents,
        *,
        reads: bool = True,
    ) -> None:
        self._runtime = runtime
        self._prepare = prepare
        self._sources = Sources()
        self._failed: set[str] = set()
        self._staging: TakenOut | None = None
        self._entries = discover(runtime.config)
        self._look = InstalledLook()
        self._installed = self._look.look(self._entries)
        self._places: dict[str, str] = {}
        self._places_for: object = None
        if reads:
            find_dependents((), find_groups(), self._sources)

    def list_places(self) -> dict[str, str]:
        """Return the folders and files that packages are made of, each with its group."""
        state = (len(sys.modules), self._entries)
        if state == self._places_for:
            return self._places
        found: dict[str, str] = {}
        for group in find_groups().values():
            for name, file in group.modules.items():
                top = name.partition(".")[0]
                if not group.name.startswith(package_of("")):
                    found[os.path.dirname(file) if name == top and file.endswith("__init__.py") else file] = group.name
        for entry in self._entries:
            if (own := find_own_modules(entry)) and not entry.is_command:
                for place in own.list_places():
                    if os.path.exists(place):
                        found[place] = own.package
        self._places, self._places_for = found, state
        return found

    def list_entries(self, distributions: Collection[str] | None = None) -> list[Entry]:
        """Return the entry points of some distributions.

        Args:
            distributions: Their names; by default all.
        """
        keys = None if distributions is None else {normalise_name(name) for name in distributions}
        return [one for one in self._entries if keys is None or _key(one) in keys]

    def find_installed(self, state: InstalledState) -> set[str]:
        """Return the distributions that were installed, changed or removed, as `look_at_installed` tells."""
        follow_path_files(self._installed, state)
        entries = discover(self._runtime.config)
        changed = find_changed(self._entries, entries, self._installed, state)
        self._entries, self._installed = entries, state
        return changed

    def look_at_installed(self) -> InstalledState:
        """Return what is installed."""
        return self._look.look(self._entries)

    def is_known(self, state: InstalledState) -> bool:
        """Whether nothing has been installed since."""
        return state == self._installed

    def is_whole(self, state: InstalledState) -> bool:
        """Whether everything that has been installed since is whole."""
        return is_whole(self._installed, state)

    def stage(self, paths: Collection[str], installed: Collection[str] = ()) -> Staged | None:
        """Import anew what some files are part of, off the loop of the calls; None where they are nobody's.

        Args:
            paths: The files that have changed.
            installed: Distributions that were installed, changed or removed.

        Raises:
            Broken: The new code cannot be used; everything is as it was.
        """
        groups = find_groups()
        changed = {*self._find_groups_of(paths), *(package_of(name) for name in installed), *self._failed}
        names = find_dependents(changed, groups, self._sources)
        chosen = [groups[name] for name in sorted(names) if name in groups]
        keys = {normalise_name(name) for name in installed}
        keys |= {_key(one) for one in self._entries if self._find_group(one) in names}
        entries = [one for one in self._entries if _key(one) in keys]
        if not chosen and not entries and not keys:
            return None
        distributions = tuple(dict.fromkeys([entry.distribution for entry in entries] + sorted(installed)))
        self._failed = set(changed)  # unless it goes well, the next one tries these again
        _check_syntax(chosen, distributions)
        staged = self._import(entries, distributions, chosen, installed)
        self._failed, self._places_for = set(), None
        return staged

    def stage_new(self, distributions: Collection[str]) -> Staged:
        """Import distributions of which nothing is used so far, off the loop of the calls; they replace nothing.

        An agent whose name is taken cannot be used, and what there was before goes before them.

        Args:
            distributions: Their names.

        Raises:
            Broken: Something else has failed than one of them.
        """
        groups, keys = find_groups(), {normalise_name(name) for name in distributions}
        chosen = [groups.get(name, Group(name)) for name in map(package_of, sorted(keys))]
        taken = self._list_taken(keys)
        entries = [
            replace(one, status=_give_way(one.name, taken[one.name])) if one.is_agent and one.name in taken else one
            for one in self._entries
            if _key(one) in keys
        ]
        return self._import(entries, tuple(distributions), chosen, distributions, new=True)

    def _import(
        self,
        entries: Sequence[Entry],
        distributions: tuple[str, ...],
        groups: Sequence[Group],
        installed: Iterable[str],
        *,
        new: bool = False,
    ) -> Staged:
        origins = list_origins(self._runtime)
        linecache.checkcache()
        taken_out = self._staging = TakenOut(groups)
        try:
            for name in installed:
                forget_distribution(name)
            importlib.invalidate_caches()
            return self._load(entries, distributions, taken_out, origins, new=new)
        except BaseException:  # whatever it is, also the end of the time: all or nothing
            taken_out.put_back()
            raise
        finally:
            self._staging = None

    def give_up(self) -> None:
        """Let everything be as it was, although the import goes on in its thread: nothing is done with it any more."""
        if self._staging:
            self._staging.put_back()

    def _load(
        self,
        entries: Sequence[Entry],
        distributions: tuple[str, ...],
        taken_out: TakenOut,
        origins: dict[str, str],
        *,
        new: bool,
    ) -> Staged:
        runtime, keys = self._runtime, {normalise_name(name) for name in distributions}
        for entry in entries:
            note_packages(list_packages(entry), plugins=not entry.is_agent, distribution=entry.distribution)
        know_distributions(entries)
        fresh_load = load(entries, runtime.config)
        reattach()
        if new:
            # What a hook brings is named only now.
            taken = self._list_taken(keys)
            brought = (
                replace(one, spec=None, status=_give_way(one.name, taken[one.name]))
                if one.usable and one.name in taken
                else one
                for one in fresh_load.agents
            )
            fresh_load = replace(fresh_load, agents=tuple(brought))
            loaded = self._append(fresh_load, keys)
        else:
            self._require_ready(fresh_load)
            loaded = self._merge(fresh_load, keys)
        before = {row.name for row in runtime.catalog.rows if normalise_name(row.distribution) in keys}
        agents = tuple(dict.fromkeys(row.name for row in fresh_load.agents))
        catalog = runtime.build_catalog(loaded, agents)
        fresh = [name for name in catalog.ready if name not in runtime.catalog.ready]
        for name, reason in self._prepare(catalog, fresh).items():
            catalog = catalog.with_status(name, Status(State.BROKEN, reason, "see the package's prewarm"))
        rows: list[LoadedAgent | LoadedPlugin] = [row for row in catalog.rows if row.name in agents]
        return Staged(
            runtime=runtime,
            loaded=loaded,
            catalog=catalog,
            distributions=distributions,
            agents=agents,
            gone=tuple(sorted(before - set(agents))),
            unusable=tuple(one for one in rows + list(fresh_load.plugins) if one.state is State.BROKEN),
            restart=tuple(find_edited_origins(origins, fresh_load, runtime, taken_out.modules)),
            taken_out=taken_out,
        )

    def _require_ready(self, new: Loaded) -> None:
        """Raise where something cannot be used that was ready."""
        ready = {_identify(one) for one in _list_rows(self._runtime.loaded) if one.state is State.READY}
        brought = {_find_entry(one) for one in self._runtime.loaded.agents if one.state is State.READY}
        for row in _list_rows(new):
            # Of a hook that has failed, the row has another name than the agents that it has brought.
            was_ready = _identify(row) in ready or (
                row.entry and not row.entry.is_agent and _find_entry(row) in brought
            )
            if row.state is not State.READY and was_ready:
                raise Broken(row.status, [row.distribution])

    def _list_taken(self, keys: Collection[str]) -> dict[str, str]:
        """Return the names that agents of other distributions have, each with whose it is."""
        rows = self._runtime.catalog.rows
        others = (row for row in rows if normalise_name(row.distribution) not in keys)
        return {row.name: row.distribution for row in others if row.usable or row.state is State.CONFLICT}

    def _append(self, new: Loaded, keys: Collection[str]) -> Loaded:
        """Return everything that is loaded, with what is new after all else: the default agent stays the same."""
        old = self._runtime.loaded
        agents = [row for row in old.agents if normalise_name(row.distribution) not in keys]
        plugins = [row for row in old.plugins if normalise_name(row.distribution) not in keys]
        return replace(old, agents=(*agents, *new.agents), plugins=(*plugins, *new.plugins))

    def _merge(self, new: Loaded, keys: Collection[str]) -> Loaded:
        """Return everything that is loaded, in the order in which all entries would be loaded."""
        old = self._runtime.loaded
        order = {(one.distribution, one.group, one.name): number for number, one in enumerate(self._entries)}

        def place(row: LoadedAgent | LoadedPlugin) -> int:
            entry = _find_entry(row)
            return order.get(entry, len(order)) if entry else -1

        agents = [row for row in old.agents if normalise_name(row.distribution) not in keys]
        plugins = [row for row in old.plugins if normalise_name(row.distribution) not in keys]
        return replace(
            old,
            agents=tuple(sorted([*agents, *new.agents], key=place)),
            plugins=tuple(sorted([*plugins, *new.plugins], key=place)),
        )

    def _find_group(self, entry: Entry) -> str:
        own = find_own_modules(entry)
        return own.package if own else imported_name(entry).partition(".")[0]

    def _find_groups_of(self, paths: Iterable[str]) -> Iterator[str]:
        places = self.list_places()
        by_length = sorted(places, key=len, reverse=True)
        for path in paths:
            if place := next((one for one in by_length if path == one or path.startswith(one + os.sep)), None):
                yield places[place]


def _list_rows(loaded: Loaded) -> list[LoadedAgent | LoadedPlugin]:
    return [*loaded.agents, *loaded.plugins]


def _identify(row: LoadedAgent | LoadedPlugin) -> tuple[str, str, str]:
    return type(row).__name__, normalise_name(row.distribution), row.name


def _find_entry(row: LoadedAgent | LoadedPlugin) -> tuple[str, str, str] | None:
    return (row.entry.distribution, row.entry.group, row.entry.name) if row.entry else None


def _give_way(name: str, rival: str) -> Status:
    """Return where an agent stands whose name an agent of the running worker has."""
    reason = f'this worker runs an agent "{name}" of {rival} already, and replaces none'
    # Not a conflict: that would be one of both.
    return Status(State.BROKEN, reason, f"rename one; or say in [plugins.prefer] whose {name} is, and restart")


def _key(entry: Entry) -> str:
    return normalise_name(entry.distribution)


def _check_syntax(groups: Iterable[Group], distributions: Sequence[str]) -> None:
    """Raise before anything is touched where a file is no Python."""
    for file in (file for group in groups for file in group.modules.values()):
        with contextlib.suppress(OSError):  # it is gone: the import says so, where it is still wanted
            with open(file, "rb") as source:
                text = source.read()
            try:
                compile(text, file, "exec", dont_inherit=True)
            except SyntaxError as error:
                place = f"{file}:{error.lineno or 1}"
                raise Broken(
                    Status(State.BROKEN, f"{type(error).__name__}: {error.msg}", None, place), distributions
                ) from None
            except ValueError as error:  # it holds null bytes
                raise Broken(Status(State.BROKEN, f"ValueError: {error}", None, file), distributions) from None
