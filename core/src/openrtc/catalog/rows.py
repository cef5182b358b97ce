"""One row of the list of agents, as ``openrtc list-agents --json`` and the health server show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openrtc.model.isolation import choose_isolation
from openrtc.model.metadata import build_schema

if TYPE_CHECKING:
    from openrtc.catalog.loaded import LoadedAgent
    from openrtc.discovery.entries import Entry
    from openrtc.settings.config import Config


def entry_row(entry: Entry, config: Config) -> dict[str, Any]:
    """Return the row of an entry that was not imported; of its isolation only the operator's setting is known."""
    return {
        "name": entry.name,
        **entry.status.to_json(),
        "distribution": entry.distribution,
        "version": entry.version,
        "entry_point": entry.value,
        "kind": "agent" if entry.is_agent or not entry.value else "hook-module",
        "summary": entry.summary,
        "load_ms": None,
        "notes": [],
        "lacks": [],
        "metadata_schema": None,
        "isolation": config.isolation.get(entry.name),
    }


def loaded_row(agent: LoadedAgent, config: Config) -> dict[str, Any]:
    """Return the row of an agent after loading; one registered in code has no version or entry point."""
    summary = agent.spec.summary if agent.spec else ""
    in_code = {"version": "", "entry_point": "", "kind": "agent", "summary": summary}
    return (entry_row(agent.entry, config) if agent.entry else in_code) | {
        "name": agent.name,
        **agent.status.to_json(),
        "distribution": agent.distribution,
        "load_ms": agent.load_ms or None,
        "notes": list(agent.notes),
        "lacks": [lack.to_json() for lack in agent.lacks],
        "metadata_schema": agent.metadata_schema or build_schema(agent.spec),
        "isolation": choose_isolation(agent.name, agent.asked_isolation, config.isolation, config.worker.isolation),
    }
