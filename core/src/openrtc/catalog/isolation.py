"""Where the calls of an agent run: in the loop that all share, or in a thread or process of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from openrtc.errors import OpenRTCError
from openrtc.suggest import did_you_mean

KINDS = ("coroutine", "thread", "process")
"""The kinds of isolation, the least apart first."""

ATTRIBUTE = "openrtc_isolation"
"""A class or factory says by this attribute that its calls must not share the loop, since it blocks."""


def checked_isolation(kind: object, origin: str) -> str:
    """Return a kind of isolation; the empty string stands for no wish.

    Raises:
        OpenRTCError: It is none of the three.
    """
    if isinstance(kind, str) and kind in ("", *KINDS):
        return kind
    fix = did_you_mean(str(kind), KINDS, f"use one of {', '.join(KINDS)}")
    raise OpenRTCError(f"isolation={kind!r}", origin=origin, fix=fix)


def isolation_for(name: str, wish: str, forced: Mapping[str, str], worker: str) -> str:
    """Return where the calls of an agent run.

    What the operator says of this agent counts; else an agent may ask for more than the worker gives, never for less.

    Args:
        name: The agent's name.
        wish: What its package asks for; empty for nothing.
        forced: What the operator says of single agents.
        worker: The worker's own isolation, for agents that say nothing.
    """
    if name in forced:
        return forced[name]
    return max(wish or worker, worker, key=KINDS.index)


def require_known(forced: Mapping[str, str], names: Iterable[str], origin: str) -> None:
    """Raise where the operator has set the isolation of an agent that does not exist.

    Raises:
        OpenRTCError: Names the nearest agent, else all of them.
    """
    known = tuple(names)
    for name in forced:
        if name not in known:
            there_are = f"there are: {', '.join(known)}" if known else "no agent is installed"
            fix = did_you_mean(name, known, there_are)
            raise OpenRTCError(f'[isolation] names the agent "{name}", which does not exist', origin=origin, fix=fix)
