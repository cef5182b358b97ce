"""`CallLimits`: what an operator allows one agent: how many calls at once, and how long each."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """The limits of one agent.

    Args:
        sessions: How many sessions it takes at once; None leaves it to its package.
        minutes: After how many a call is ended; None or 0 for no limit.
        silent_seconds: After how many seconds in which no person speaks or types, though one is there, a call is
            ended; None or 0 for no limit.
    """

    sessions: int | None = None
    minutes: float | None = None
    silent_seconds: float | None = None

    def over(self, others: CallLimits | None) -> CallLimits:
        """Return these limits, and those of ``others`` where these say nothing."""
        if others is None:
            return self
        pairs = ((one.name, getattr(self, one.name), getattr(others, one.name)) for one in fields(self))
        return CallLimits(**{name: other if own is None else own for name, own, other in pairs})
