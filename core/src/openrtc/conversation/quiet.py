"""Waits until an agent has finished speaking."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from livekit.agents import AgentSession

_STEP = 0.05
_BUSY = ("thinking", "speaking", "initializing")


async def wait_until_quiet(session: AgentSession[Any], *, quiet: float, limit: float) -> bool:
    """Wait until the agent neither speaks nor thinks; return whether that came in time.

    Args:
        session: A session that has started.
        quiet: For how many seconds it must be so.
        limit: Seconds to wait at most.
    """
    deadline = time.monotonic() + limit
    since = time.monotonic()
    while (now := time.monotonic()) < deadline:
        if is_busy(session):
            since = now
        elif now - since >= quiet:
            return True
        await asyncio.sleep(_STEP)
    return False


def is_busy(session: AgentSession[Any]) -> bool:
    """Return whether the agent thinks or speaks, or is about to."""
    return session.agent_state in _BUSY or session.current_speech is not None
