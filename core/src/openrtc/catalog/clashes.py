"""Settles the agents that share a name after loading: those of hook modules and of code are known only then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from openrtc.discovery.entries import State
from openrtc.discovery.name_clashes import clash_verdict

if TYPE_CHECKING:
    from openrtc.plugins.loaded import LoadedAgent

CLAIMING = (State.READY, State.INSTALLED, State.CONFLICT)


def settle(agents: Iterable[LoadedAgent], prefer: Mapping[str, str]) -> tuple[LoadedAgent, ...]:
    """Return ``agents`` with those that claim one name settled by ``prefer``, else marked as conflicts.

    One and the same class of one distribution, met twice, counts once.
    """
    listed = _without_twins(agents)
    rivals: dict[str, list[str]] = {}
    for agent in listed:
        if agent.state in CLAIMING:
            rivals.setdefault(agent.name, []).append(agent.distribution)
    return tuple(_settled(agent, rivals.get(agent.name, []), prefer) for agent in listed)


def _settled(agent: LoadedAgent, rivals: list[str], prefer: Mapping[str, str]) -> LoadedAgent:
    if len(rivals) < 2 or agent.state not in CLAIMING:
        return agent
    state, reason, fix = clash_verdict(agent.name, agent.distribution, rivals, prefer)
    if state is State.READY:
        return agent
    return replace(agent, spec=None, state=state, reason=reason, fix=fix)


def _without_twins(agents: Iterable[LoadedAgent]) -> list[LoadedAgent]:
    kept: list[LoadedAgent] = []
    for agent in agents:
        if not any(_are_twins(agent, other) for other in kept):
            kept.append(agent)
    return kept


def _are_twins(one: LoadedAgent, other: LoadedAgent) -> bool:
    if one.name != other.name or one.distribution != other.distribution or not one.spec or not other.spec:
        return False
    return all(getattr(one.spec, made) is getattr(other.spec, made) for made in ("agent", "entrypoint", "cast"))
