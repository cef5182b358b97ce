"""`SlowAnswers`: tells of an agent that is silent though it should answer, since a model that hangs raises nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from livekit.agents import AgentSession, SpeechCreatedEvent
from livekit.agents.voice import SpeechHandle

from openrtc.errors import OpenRTCError
from openrtc.worker.live_call import LiveCall

logger = logging.getLogger("openrtc.worker")

SLOW_SECONDS = 10.0
"""How long an agent may be silent before that is told: callers have mostly hung up by then."""


class SlowAnswers:
    """Times how long the agent of a call is silent while it has something to say; each answer is told once.

    Args:
        session: The call's session, before it starts.
        live: The call.
    """

    def __init__(self, session: AgentSession[Any], live: LiveCall) -> None:
        self._session = session
        self._live = live
        self._timers: dict[SpeechHandle, asyncio.TimerHandle] = {}
        session.on("speech_created", self._created)
        session.on("close", self._stop)

    def _created(self, event: SpeechCreatedEvent) -> None:
        self._wait(event.speech_handle)
        event.speech_handle.add_done_callback(self._done)

    def _wait(self, speech: SpeechHandle) -> None:
        self._timers[speech] = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._look, speech)

    def _done(self, speech: SpeechHandle) -> None:
        if timer := self._timers.pop(speech, None):
            timer.cancel()

    def _stop(self, _: object) -> None:
        for speech in list(self._timers):
            self._done(speech)

    def _look(self, speech: SpeechHandle) -> None:
        if self._session.agent_state == "speaking":
            self._wait(speech)
            return
        del self._timers[speech]
        said = f"has been silent for {SLOW_SECONDS:g} s though it should answer: a model or a tool of it hangs"
        self._live.error("session", OpenRTCError(said), "")
        logger.warning("agent %r %s", self._live.agent, said, extra=self._live.fields)
