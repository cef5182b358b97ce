"""Reports an agent that is silent though it should answer, since a model that hangs raises nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from livekit.agents import AgentSession, SpeechCreatedEvent
from livekit.agents.voice import SpeechHandle

from openrtc.errors import OpenRTCError
from openrtc.runtime.live_call import LiveCall
from openrtc.session.unheard import is_held_back

logger = logging.getLogger("openrtc.worker")

SLOW_SECONDS = 10.0
"""How long an agent may be silent before that is reported: callers have mostly hung up by then."""


def watch_slow_answers(session: AgentSession[Any], live: LiveCall) -> None:
    """Report, once for each answer, that the agent of a call has something to say and is silent for long.

    Args:
        session: The call's session, before it starts.
        live: The call.
    """
    _SlowAnswers(session, live)


class _SlowAnswers:
    """Runs a timer for each answer that is not over; the session's event handlers keep it alive."""

    def __init__(self, session: AgentSession[Any], live: LiveCall) -> None:
        self._session = session
        self._live = live
        self._timers: dict[SpeechHandle, asyncio.TimerHandle] = {}
        session.on("speech_created", self._on_speech_created)
        session.on("close", self._on_close)

    def _on_speech_created(self, event: SpeechCreatedEvent) -> None:
        self._start_timer(event.speech_handle)
        event.speech_handle.add_done_callback(self._stop_timer)

    def _start_timer(self, speech: SpeechHandle) -> None:
        self._timers[speech] = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._check, speech)

    def _stop_timer(self, speech: SpeechHandle) -> None:
        if timer := self._timers.pop(speech, None):
            timer.cancel()

    def _on_close(self, _: object) -> None:
        self._stop_all()

    def _stop_all(self) -> None:
        for speech in list(self._timers):
            self._stop_timer(speech)

    def _check(self, speech: SpeechHandle) -> None:
        if self._live.failed:
            return  # the call is being ended
        if self._session.agent_state == "speaking" or is_held_back(self._session):
            # A long answer, or an earlier one before it, or one that nobody has subscribed to: whether this one hangs
            # is not known yet.
            self._start_timer(speech)
            return
        # Those that wait behind it hang with it: one report for all.
        self._stop_all()
        said = f"has been silent for {SLOW_SECONDS:g} s though it should answer: a model or a tool of it hangs"
        self._live.emit_error("session", OpenRTCError(said), "")
        logger.warning("agent %r %s", self._live.agent, said, extra=self._live.fields)
