"""Ends a call at the limits of its agent: how long it may be, and for how long no person may be silent in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from livekit.agents import AgentSession, JobContext, UserStateChangedEvent

from openrtc.model.call_limits import CallLimits
from openrtc.runtime.live_call import LiveCall
from openrtc.session.hang_up import find_hang_up

LEAST_LOOK_SECONDS = 0.1
"""Between two looks at for how long nobody has spoken."""


class LimitClock:
    """Counts the time of one call; of one without a room, nothing is counted.

    Args:
        context: LiveKit's context of the job.
        live: The call.
        limits: The limits of all agents of the call: of each, the strictest holds.
        end: Ends the call, given why.
    """

    def __init__(
        self, context: JobContext, live: LiveCall, limits: Iterable[CallLimits], end: Callable[[str], None]
    ) -> None:
        of_agents = tuple(limits)
        self._minutes = min((one.minutes for one in of_agents if one.minutes), default=None)
        self._silent = min((one.silent_seconds for one in of_agents if one.silent_seconds), default=None)
        self._live = live
        self._end = end
        self._hang_up = find_hang_up(context)
        self._speaking: set[AgentSession[Any]] = set()
        self._hears = self._started = False
        self._waits = True
        self._person_at = 0.0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        if self._hang_up is not None and (self._minutes or self._silent):
            context.room.on("participant_connected", lambda _: self._look_who_is_there())
            context.room.on("connection_state_changed", lambda _: self._look_who_is_there())  # and who was there before
            context.room.on("sip_dtmf_received", lambda _: self._note_person())
            context.add_shutdown_callback(self._stop)

    def hear(self, session: AgentSession[Any], hears_people: Callable[[], bool] = lambda: True) -> None:
        """Notice when a person speaks.

        Args:
            session: A session of the call, before it starts.
            hears_people: Returns whether it is people whom it hears now.
        """
        self._hears = True

        def on_user_changed(event: UserStateChangedEvent) -> None:
            if event.new_state == "speaking" and hears_people():
                self._speaking.add(session)
                self._note_person()
            elif session in self._speaking:
                self._speaking.discard(session)
                self._note_person()

        def on_transcribed(_: object) -> None:
            if hears_people():  # also where nothing detects voices
                self._note_person()

        session.on("user_state_changed", on_user_changed)
        session.on("user_input_transcribed", on_transcribed)
        session.on("close", lambda _: self._speaking.discard(session))

    def start(self, *, waits: bool = True) -> None:
        """Let the time run: the session has started, or the entrypoint.

        Args:
            waits: Whether the minutes begin when the first person is there, if none is.
        """
        if self._hang_up is None:
            return
        self._started = True
        if self._silent:
            self._start_timer("silent", self._silent, self._look)
        self._waits = waits
        self._look_who_is_there()

    def _look_who_is_there(self) -> None:
        assert self._hang_up is not None, "there is a room"
        if not self._started or (self._waits and not self._hang_up.has_people):
            return
        self._note_person()
        if self._minutes and "minutes" not in self._timers:
            reason = f"its limit of {self._minutes:g} minutes is reached"
            self._start_timer("minutes", self._minutes * 60, lambda: self._end(reason))

    def _note_person(self) -> None:
        self._person_at = time.monotonic()

    def _look(self) -> None:
        assert self._silent is not None and self._hang_up is not None, "this is the timer of both"
        # Of an entrypoint without a session nobody knows who speaks; and who is not there is waited for, or not, by
        # other limits.
        if self._speaking or not self._hears or not self._hang_up.has_people:
            self._note_person()
        now = time.monotonic()
        said_at = max(self._person_at, self._live.typed_at or 0.0)
        if now - said_at >= self._silent:
            self._end(f"nobody has spoken or typed for {self._silent:g} s")
        else:
            self._start_timer("silent", max(said_at + self._silent - now, LEAST_LOOK_SECONDS), self._look)

    def _start_timer(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, call)

    async def _stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
