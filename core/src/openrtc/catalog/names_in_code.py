"""Which agent has an agent name that stands in its package's code, as ``rtc_session(agent_name=…)`` puts it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from openrtc.catalog.loaded import LoadedAgent
from openrtc.catalog.resolved_cast import index_by_name


def claim_names(agents: Mapping[str, LoadedAgent]) -> dict[str, list[str]]:
    """Return each agent name in the code of an agent that can be used, with all agents that have it.

    An agent has its own name, too, unless it is switched off: who claims another's shares it.

    Args:
        agents: The agents by their names.
    """
    claimed: dict[str, list[str]] = {}
    for name, agent in agents.items():
        if agent.usable and agent.worker and agent.worker.agent_name:
            claimed.setdefault(agent.worker.agent_name, []).append(name)
    for name, claiming in claimed.items():
        if name in agents and name not in claiming and not agents[name].status.switched_off:
            claiming.append(name)
    return claimed


def note_shared_names(rows: Sequence[LoadedAgent]) -> tuple[LoadedAgent, ...]:
    """Return the agents, with a note on each whose agent name in code is not its alone."""
    claimed = claim_names(index_by_name(rows))

    def note(row: LoadedAgent) -> LoadedAgent:
        name = row.worker.agent_name if row.worker and row.usable else ""
        others = [repr(one) for one in claimed.get(name, ()) if one != row.name]
        if not others:
            return row
        return replace(row, notes=(*row.notes, f"that name is not registered: {' and '.join(others)} has it, too"))

    return tuple(map(note, rows))
