"""Imports the installed agents and plugins, each under its own guard."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from openrtc.catalog.loaded import Loaded, LoadedAgent, LoadedPlugin
from openrtc.discovery.entries import Entry
from openrtc.model.agents import AgentSpec
from openrtc.model.livekit_worker import LiveKitWorker
from openrtc.model.status import State
from openrtc.plugins.agent_hook import collect_agents
from openrtc.plugins.agent_targets import build_spec
from openrtc.plugins.foreign import settle_isolation
from openrtc.plugins.guard.clock import set_limit
from openrtc.plugins.hook_check import build_plugin, check_hooks
from openrtc.plugins.importing import import_target, run_guarded
from openrtc.plugins.livekit_shapes import note_server_beside
from openrtc.plugins.own_modules import know_distributions
from openrtc.settings.config import Config

__all__ = ["Loaded", "LoadedAgent", "LoadedPlugin", "load", "load_plugins"]


def load(entries: Iterable[Entry], config: Config, *, only: Callable[[Entry], bool] | None = None) -> Loaded:
    """Import every usable entry, on the calling thread, in the given order; no package's mistake raises here.

    Args:
        entries: What `discover` found.
        config: The settings; ``prefer`` settles names that appear only after loading.
        only: Which entries to import; the others keep their state, agents as ``installed``.
    """
    set_limit(config.policy.import_seconds)
    agents: list[LoadedAgent] = []
    plugins = _Plugins()
    for entry in entries:
        if entry.is_command:
            continue
        know_distributions([entry])
        wanted = entry.usable and (only is None or only(entry))
        if entry.is_agent:
            agents.append(_load_agent(entry) if wanted else LoadedAgent.of_entry(entry))
        elif plugin := plugins.add(entry, wanted):
            agents += collect_agents(plugin) if "openrtc_agents" in plugin.hooks else ()
    settled = tuple(settle_isolation(agent, config) for agent in agents)
    return Loaded(agents=settled, plugins=tuple(plugins.rows), policy=config.policy)


def load_plugins(entries: Iterable[Entry], config: Config) -> Loaded:
    """Import the plugins and hook modules only; agents that are entry points stay ``installed``.

    Args:
        entries: What `discover` found.
        config: The settings.
    """
    return load(entries, config, only=lambda entry: not entry.is_agent)


def _load_agent(entry: Entry) -> LoadedAgent:
    def step() -> tuple[AgentSpec, LiveKitWorker | None, tuple[str, ...]]:
        target = import_target(entry)
        spec, worker = build_spec(target, entry)
        return spec, worker, worker.notes if worker else note_server_beside(target, entry)

    result = run_guarded(entry, step)
    if result.value is None:
        return LoadedAgent.of_entry(entry, result.failure, result.ms)
    spec, worker, notes = result.value
    return LoadedAgent(name=entry.name, entry=entry, spec=spec, load_ms=result.ms, worker=worker, notes=notes)


class _Plugins:
    """The plugins loaded so far; knows which objects and names were met already."""

    def __init__(self) -> None:
        self.rows: list[LoadedPlugin] = []
        self._met: list[object] = []

    def add(self, entry: Entry, wanted: bool) -> LoadedPlugin | None:
        """Load a plugin and keep its row; returns it when it is ready and new."""
        name = self._free_name(entry)
        row = self._load(entry, name) if wanted else LoadedPlugin(name=name, entry=entry, status=entry.status)
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
            plugin = build_plugin(target, entry)
            return plugin, check_hooks(plugin, entry)

        result = run_guarded(entry, step)
        if result.failure:
            return LoadedPlugin(name=name, entry=entry, status=result.failure, load_ms=result.ms)
        if result.value is None:
            return None
        target, hooks = result.value
        return LoadedPlugin(name=name, entry=entry, target=target, hooks=hooks, load_ms=result.ms)

    def _free_name(self, entry: Entry) -> str:
        """Return ``distribution:name``; one distribution may use a name in both groups for different things."""
        name = f"{entry.distribution}:{entry.name}"
        taken = {row.name for row in self.rows}
        return name if name not in taken else f"{name} ({entry.group} {len(taken)})"
