"""Waits until an agent has finished speaking."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from livekit.agents import AgentSession

BUSY_STATES = ("initializing", "thinking", "speaking")
"""States of livekit-agents' sessions in which the agent is about to speak, or speaks."""

_STEP = 0.05
"""Seconds between two looks; far below the shortest pause that anybody waits for here, 0.2 s."""


async def wait_until_quiet(session: AgentSession[Any], *, quiet: float, limit: float) -> None:
    """Wait until the agent neither speaks nor thinks, or until the limit.

    Args:
        session: A session that has started.
        quiet: For how many seconds it must be so.
        limit: Seconds to wait at most.
    """
    deadline = time.monotonic() + limit
    since = time.monotonic()
    while (now := time.monotonic()) < deadline:
        # A speech that waits for its turn is not yet in the state.
        if session.agent_state in BUSY_STATES or session.current_speech is not None:
            since = now
        elif now - since >= quiet:
            return
        await asyncio.sleep(_STEP)
