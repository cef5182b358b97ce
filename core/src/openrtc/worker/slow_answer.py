"""`SlowAnswers`: tells of an agent that has been thinking for long, since a model that hangs raises nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from livekit.agents import AgentSession, AgentStateChangedEvent

from openrtc.errors import OpenRTCError
from openrtc.worker.live_call import LiveCall

logger = logging.getLogger("openrtc.worker")

SLOW_SECONDS = 10.0
"""How long an agent may think before that is told: callers have mostly hung up by then."""


def watch_slow_answers(session: AgentSession[Any], live: LiveCall) -> None:
    """Tell ``live`` and the log once for each answer that is slow to come.

    Args:
        session: The call's session, before it starts.
        live: The call.
    """
    watch = SlowAnswers(live)
    session.on("agent_state_changed", watch.agent_changed)
    session.on("close", lambda _: watch.stop())


class SlowAnswers:
    """Times how long the agent of a call thinks.

    Args:
        live: The call.
    """

    def __init__(self, live: LiveCall) -> None:
        self._live = live
        self._timer: asyncio.TimerHandle | None = None

    def agent_changed(self, event: AgentStateChangedEvent) -> None:
        """Note what the agent does now."""
        self.stop()
        if event.new_state == "thinking":
            self._timer = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._tell)

    def stop(self) -> None:
        """Time no more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        said = f"has been thinking for {SLOW_SECONDS:g} s: a model or a tool of it does not answer"
        self._live.error("session", OpenRTCError(said), "")
        logger.warning("agent %r %s", self._live.agent, said, extra=self._live.fields)
