"""Lets the models of a session rest while everybody has left its call and may come back."""

from __future__ import annotations

import contextlib
from typing import Any

from livekit.agents import AgentSession, AgentStateChangedEvent, FunctionToolsExecutedEvent, SpeechCreatedEvent
from livekit.agents.voice import SpeechHandle

from openrtc.session.hang_up import HangUp
from openrtc.session.hearing import MANUAL
from openrtc.session.models import has_realtime_model
from openrtc.session.unheard import is_held_back


class Pause:
    """Stops what a session says, and lets it neither hear nor begin anything until it is to go on.

    What its caller has said last, and nobody will answer, goes into the history. A tool runs to its end; nothing is
    said about its result. What waits for somebody to subscribe to the agent goes on waiting: nobody has heard it yet.

    Args:
        session: The session, before it starts.
        hang_up: Knows which of its tools run.
    """

    def __init__(self, session: AgentSession[Any], hang_up: HangUp) -> None:
        self._session = session
        self._hang_up = hang_up
        self._speeches: set[SpeechHandle] = set()
        self.paused = False
        self._deafened = False
        session.on("speech_created", self._on_speech_created)
        session.on("agent_state_changed", self._on_state_changed)
        session.on("function_tools_executed", self._on_tools_executed)

    def pause(self) -> None:
        """Stop."""
        self.paused = True
        self._deafen()
        if is_held_back(self._session):
            return
        if self._hang_up.runs_tool:
            # Not all of it: what only waits for its tool would be cancelled some seconds later, with an error.
            self._stop_current()
        else:
            with contextlib.suppress(RuntimeError):  # it has not started, or is closing
                self._session.interrupt(force=True)

    def resume(self) -> None:
        """Go on."""
        self.paused = False
        if self._deafened:
            self._deafened = False
            self._session.input.set_audio_enabled(True)

    def _deafen(self) -> None:
        # Who talks to the agent by pressing a key has switched it off already.
        if self._session.input.audio is not None and self._session.input.audio_enabled:
            self._deafened = True
            self._session.input.set_audio_enabled(False)
            with contextlib.suppress(RuntimeError):  # as in `pause`
                self._end_turn()

    def _end_turn(self) -> None:
        # Else the end of a turn that was begun is found later, and answered.
        if has_realtime_model(self._session.current_agent, self._session):
            self._session.clear_user_turn()
        elif self._session.turn_detection != MANUAL:
            self._session.commit_user_turn(transcript_timeout=0.0, stt_flush_duration=0.0, skip_reply=True)

    def _stop_current(self) -> None:
        if speech := self._session.current_speech:
            speech.interrupt(force=True)

    def _on_speech_created(self, event: SpeechCreatedEvent) -> None:
        speech = event.speech_handle
        self._speeches.add(speech)
        speech.add_done_callback(self._speeches.discard)
        if self.paused and not is_held_back(self._session):
            speech.interrupt(force=True)

    def _on_state_changed(self, event: AgentStateChangedEvent) -> None:
        # What had waited for its turn to speak.
        if self.paused and event.new_state in ("thinking", "speaking") and not is_held_back(self._session):
            self._stop_current()

    def _on_tools_executed(self, event: FunctionToolsExecutedEvent) -> None:
        if self.paused and not self._hang_up.runs_tool:
            for speech in list(self._speeches):
                speech.interrupt(force=True)
