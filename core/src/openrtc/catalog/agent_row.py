"""One row of the list of agents, as ``openrtc list-agents --json`` and the health server show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openrtc.catalog.isolation import isolation_for

if TYPE_CHECKING:
    from openrtc.config import Config
    from openrtc.discovery.entries import Entry
    from openrtc.plugins.loaded import LoadedAgent


def entry_row(entry: Entry, config: Config) -> dict[str, Any]:
    """Return the row of an entry that was not imported; of its isolation only the operator's word is known."""
    return {
        "name": entry.name,
        "state": str(entry.state),
        "distribution": entry.distribution,
        "version": entry.version,
        "entry_point": entry.value,
        "kind": "agent" if entry.is_agent or not entry.value else "hook-module",
        "summary": entry.summary,
        "reason": entry.reason,
        "fix": entry.fix,
        "location": entry.location,
        "load_ms": None,
        "isolation": config.isolation.get(entry.name),
    }


def loaded_row(agent: LoadedAgent, config: Config) -> dict[str, Any]:
    """Return the row of an agent after loading; one registered in code has no version, entry point or summary."""
    in_code = {"version": "", "entry_point": "", "kind": "agent", "summary": ""}
    return (entry_row(agent.entry, config) if agent.entry else in_code) | {
        "name": agent.name,
        "state": str(agent.state),
        "distribution": agent.distribution,
        "reason": agent.reason,
        "fix": agent.fix,
        "location": agent.location,
        "load_ms": agent.load_ms or None,
        "isolation": isolation_for(agent.name, agent.wish, config.isolation, config.worker.isolation),
    }
