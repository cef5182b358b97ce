"""Two distributions, one agent name: both are shown, none is chosen silently, one `prefer` line settles it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from openrtc.discovery.entries import Entry, State
from openrtc.errors import one_line
from openrtc.setting_kinds import normalised

THIS_PROGRAM = "this program"
"""Stands in place of a distribution for agents registered in code."""


def settle_clashes(entries: Iterable[Entry], prefer: Mapping[str, str]) -> list[Entry]:
    """Mark usable agents that share a name: the preferred one stands and the others are disabled, else all conflict."""
    listed = list(entries)
    rivals: dict[str, list[str]] = {}
    for entry in listed:
        if entry.is_agent and entry.usable:
            rivals.setdefault(entry.name, []).append(entry.distribution)
    return [_settled(entry, rivals.get(entry.name, []), prefer) for entry in listed]


def _settled(entry: Entry, rivals: list[str], prefer: Mapping[str, str]) -> Entry:
    if len(rivals) < 2 or not (entry.is_agent and entry.usable):
        return entry
    state, reason, fix = clash_verdict(entry.name, entry.distribution, rivals, prefer)
    return entry if state is State.READY else replace(entry, state=state, reason=reason, fix=fix)


def clash_verdict(
    name: str, distribution: str, rivals: list[str], prefer: Mapping[str, str]
) -> tuple[State, str | None, str | None]:
    """Return state, reason and fix of the agent ``name`` of ``distribution`` where all ``rivals`` bring that name.

    The state is `State.READY` for the preferred one.
    """
    winner = prefer.get(name)
    keys = [normalised(rival) for rival in rivals]
    if winner is not None and keys.count(winner) == 1:
        if normalised(distribution) == winner:
            return State.READY, None, None
        reason = f'prefer gives the name "{name}" to {winner}'
        return State.DISABLED, reason, f'take "{name}" out of prefer, or name {distribution} there'
    others = sorted({rival for rival in rivals if normalised(rival) != normalised(distribution)})
    if not others:
        return State.CONFLICT, f'{distribution} brings "{name}" more than once', "rename one of them"
    choice = next(normalised(rival) for rival in rivals if rival != THIS_PROGRAM)
    reason = one_line(f'{", ".join(others)} also {"brings" if len(others) == 1 else "bring"} an agent "{name}"')
    shown = f'"{name}"' if "." in name else name
    return State.CONFLICT, reason, f'in openrtc.toml: [plugins.prefer] {shown} = "{choice}"'
