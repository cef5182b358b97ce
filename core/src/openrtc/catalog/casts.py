"""Marks the casts whose members cannot be had: that is known only when every agent is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from openrtc.discovery.entries import State
from openrtc.plugins.loaded import LoadedAgent
from openrtc.suggest import did_you_mean


def settle_casts(rows: Sequence[LoadedAgent]) -> tuple[LoadedAgent, ...]:
    """Return ``rows`` with the casts broken that name an agent which cannot be a member."""
    agents = by_name(rows)
    return tuple(_settled(row, agents) for row in rows)


def by_name(rows: Iterable[LoadedAgent]) -> dict[str, LoadedAgent]:
    """Return the agent of each name: the usable one, else the first of that name."""
    found: dict[str, LoadedAgent] = {}
    for row in rows:
        if row.name not in found or (row.usable and not found[row.name].usable):
            found[row.name] = row
    return found


def why_no_member(name: str, agents: Mapping[str, LoadedAgent]) -> str | None:
    """Return why the agent of this name cannot be a member of a cast, or None when it can.

    Args:
        name: The agent.
        agents: Every agent by its name.
    """
    found = agents.get(name)
    if found is None:
        return f'there is no agent "{name}"'
    if not found.usable:
        return f'agent "{name}" is {found.state}: {found.reason}'
    if found.shape == "cast":
        return f'agent "{name}" is a cast itself'
    if found.shape == "entrypoint":
        return f'agent "{name}" is a LiveKit entrypoint, which starts its own session'
    return None


def _settled(row: LoadedAgent, agents: Mapping[str, LoadedAgent]) -> LoadedAgent:
    for name in row.members if row.usable else ():
        if problem := why_no_member(name, agents):
            near = did_you_mean(name, agents, "install it, or take the member out")
            fix = near if name not in agents else agents[name].fix or "give an agent"
            return replace(row, spec=None, state=State.BROKEN, reason=f"as a member of its cast, {problem}", fix=fix)
    return row
