"""Imports the installed agents and plugins, each under its own guard."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from openrtc.catalog.clashes import settle
from openrtc.catalog.spec import AgentSpec
from openrtc.config import Config
from openrtc.discovery.entries import Entry, State
from openrtc.plugins.agent_hook import agents_of
from openrtc.plugins.agent_targets import spec_of
from openrtc.plugins.hook_check import checked_hooks, plugin_object
from openrtc.plugins.importing import guarded, import_target
from openrtc.plugins.loaded import Loaded, LoadedAgent, LoadedPlugin

__all__ = ["Loaded", "LoadedAgent", "LoadedPlugin", "load", "load_plugins"]


def load(entries: Iterable[Entry], config: Config, *, only: Callable[[Entry], bool] | None = None) -> Loaded:
    """Import every usable entry, on the calling thread, in the given order; no package's mistake raises here.

    Args:
        entries: What `discover` found.
        config: The settings; ``prefer`` settles names that appear only after loading.
        only: Which entries to import; the others keep their state, agents as ``installed``.
    """
    agents: list[LoadedAgent] = []
    plugins = _Plugins()
    for entry in entries:
        wanted = entry.usable and (only is None or only(entry))
        if entry.is_agent:
            agents.append(_load_agent(entry) if wanted else LoadedAgent.as_it_is(entry))
        elif plugin := plugins.add(entry, wanted):
            agents += agents_of(plugin) if "openrtc_agents" in plugin.hooks else ()
    prefer = config.policy.prefer
    return Loaded(agents=settle(agents, prefer), plugins=tuple(plugins.rows), prefer=prefer)


def load_plugins(entries: Iterable[Entry], config: Config) -> Loaded:
    """Import the plugins and hook modules only; agents that are entry points stay ``installed``.

    Args:
        entries: What `discover` found.
        config: The settings.
    """
    return load(entries, config, only=lambda entry: not entry.is_agent)


def _load_agent(entry: Entry) -> LoadedAgent:
    def step() -> AgentSpec:
        return spec_of(import_target(entry), entry)

    outcome = guarded(entry, step)
    if fault := outcome.fault:
        return LoadedAgent.broken(entry, fault, outcome.ms)
    return LoadedAgent(name=entry.name, entry=entry, spec=outcome.value, load_ms=outcome.ms)


class _Plugins:
    """The plugins loaded so far; knows which objects and names were met already."""

    def __init__(self) -> None:
        self.rows: list[LoadedPlugin] = []
        self._met: list[object] = []

    def add(self, entry: Entry, wanted: bool) -> LoadedPlugin | None:
        """Load a plugin and keep its row; returns it when it is ready and new."""
        name = self._free_name(entry)
        row = self._load(entry, name) if wanted else _plugin_as_it_is(entry, name)
        if row is not None:
            self.rows.append(row)
        return row if row and row.state is State.READY else None

    def _load(self, entry: Entry, name: str) -> LoadedPlugin | None:
        """Return the row, or None for an object that was registered before."""

        def step() -> tuple[object, tuple[str, ...]] | None:
            target = import_target(entry)
            if any(target is met for met in self._met):
                return None
            self._met.append(target)
            plugin = plugin_object(target, entry)
            return plugin, checked_hooks(plugin, entry)

        outcome = guarded(entry, step)
        if fault := outcome.fault:
            return LoadedPlugin(
                name=name,
                entry=entry,
                state=State.BROKEN,
                reason=fault.reason,
                fix=fault.fix,
                location=fault.location,
                load_ms=outcome.ms,
            )
        if outcome.value is None:
            return None
        target, hooks = outcome.value
        return LoadedPlugin(name=name, entry=entry, target=target, hooks=hooks, load_ms=outcome.ms)

    def _free_name(self, entry: Entry) -> str:
        """Return ``distribution:name``; one distribution may use a name in both groups for different things."""
        name = f"{entry.distribution}:{entry.name}"
        taken = {row.name for row in self.rows}
        return name if name not in taken else f"{name} ({entry.group} {len(taken)})"


def _plugin_as_it_is(entry: Entry, name: str) -> LoadedPlugin:
    return LoadedPlugin(
        name=name,
        entry=entry,
        state=entry.state,
        reason=entry.reason,
        fix=entry.fix,
        location=entry.location,
    )
