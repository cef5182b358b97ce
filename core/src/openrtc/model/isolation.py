"""Where the calls of an agent run: in the loop that all share, or in a thread or process of their own."""

from __future__ import annotations

from collections.abc import Mapping

from openrtc.errors import OpenRTCError
from openrtc.suggest import did_you_mean

ISOLATIONS = ("coroutine", "thread", "process")
"""The kinds of isolation, the least apart first."""

ISOLATION_ATTRIBUTE = "openrtc_isolation"
"""A class or factory says by this attribute that its calls must not share the loop, since it blocks."""


def check_isolation(kind: object, origin: str) -> str:
    """Return a kind of isolation; the empty string asks for none.

    Raises:
        OpenRTCError: It is none of the three.
    """
    if isinstance(kind, str) and kind in ("", *ISOLATIONS):
        return kind
    fix = did_you_mean(str(kind), ISOLATIONS, f"use one of {', '.join(ISOLATIONS)}")
    raise OpenRTCError(f"isolation={kind!r}", origin=origin, fix=fix)


def choose_isolation(name: str, requested: str, forced: Mapping[str, str], worker: str) -> str:
    """Return where the calls of an agent run.

    What the operator says of this agent counts; else an agent may ask for more than the worker gives, never for less.

    Args:
        name: The agent's name.
        requested: What its package asks for; empty for nothing.
        forced: What the operator says of single agents.
        worker: The worker's own isolation, for agents that say nothing.
    """
    if name in forced:
        return forced[name]
    return max(requested or worker, worker, key=ISOLATIONS.index)
