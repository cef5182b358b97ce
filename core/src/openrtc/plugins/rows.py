"""The rows of the lists of plugins and commands, as ``openrtc plugins --json`` shows them."""

from __future__ import annotations

from typing import Any

from openrtc.catalog.loaded import Loaded, LoadedPlugin
from openrtc.discovery.entries import Entry
from openrtc.plugins.contributions import collect_contributions


def build_plugin_rows(loaded: Loaded) -> list[dict[str, Any]]:
    """Return a row for each plugin, usable or not."""
    agents: dict[str, list[str]] = {}
    for agent in loaded.agents:
        if agent.entry and not agent.entry.is_agent:
            agents.setdefault(f"{agent.distribution}:{agent.entry.name}", []).append(agent.name)
    return [_build_row(plugin, agents.get(plugin.name, [])) for plugin in loaded.plugins]


def build_command_row(entry: Entry) -> dict[str, Any]:
    """Return the row of a command."""
    return {
        "name": f"{entry.distribution}:{entry.name}",
        **entry.status.to_json(),
        "distribution": entry.distribution,
        "version": entry.version,
        "entry_point": entry.value,
        "summary": entry.summary,
        "command": entry.name,
    }


def _build_row(plugin: LoadedPlugin, agents: list[str]) -> dict[str, Any]:
    brings = collect_contributions(plugin)
    status = brings.failure or plugin.status
    return {
        "name": plugin.name,
        **status.to_json(),
        "distribution": plugin.entry.distribution,
        "version": plugin.entry.version,
        "entry_point": plugin.entry.value,
        "group": plugin.entry.group,
        "summary": plugin.entry.summary,
        "hooks": list(plugin.hooks),
        "agents": agents,
        "resources": list(brings.resources),
        "providers": list(brings.providers),
        "routers": [{"name": plugin.name, "tryfirst": brings.tryfirst}] if brings.router else [],
        "load_ms": plugin.load_ms or None,
    }
