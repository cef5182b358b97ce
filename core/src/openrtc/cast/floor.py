"""`Floor`: lets one member speak at a time, whatever its own code does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from livekit.agents.voice import SpeechHandle

from openrtc.cast.seat import Seat
from openrtc.cast.turn import ITSELF, Turn
from openrtc.errors import one_line

logger = logging.getLogger("openrtc.cast")

GAP_SECONDS = 0.25
"""Silence between two members."""

Begin = Callable[[], Awaitable[Any]]


class FloorEvents(Protocol):
    """Who is told what happens on the floor."""

    def spoke(self, seat: Seat, speech: SpeechHandle) -> None:
        """A member has ended a speech."""

    def too_slow(self, seat: Seat) -> None:
        """A member had the floor and was not heard."""

    def could_not_speak(self, seat: Seat, error: Exception) -> None:
        """A member that was called could not even begin."""

    def idle(self) -> None:
        """Nobody has the floor or waits for it."""


class Floor:
    """Lets one member speak at a time.

    Every speech of every session is announced to it. It is held back until the member has the floor, which it keeps
    until all that it had to say is said.

    Args:
        events: Who is told what happens.
        seconds: How long a member may have the floor without being heard.
    """

    def __init__(self, events: FloorEvents, seconds: float) -> None:
        self._events = events
        self._seconds = seconds
        self._holder: Seat | None = None
        self._lenders: list[Seat] = []
        self._waiting: deque[tuple[Seat, Begin | None]] = deque()
        self._closed = True
        self._gap: asyncio.TimerHandle | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._seats: list[Seat] = []
        self._beginning: set[asyncio.Task[None]] = set()

    @property
    def holder(self) -> Seat | None:
        """Who has the floor."""
        return self._holder

    @property
    def closed(self) -> bool:
        """Whether nobody may begin to speak."""
        return self._closed

    @property
    def at_rest(self) -> bool:
        """Whether nobody speaks or is about to."""
        return self._holder is None and not self._waiting and self._gap is None

    def open(self) -> None:
        """Let members speak."""
        self._closed = False
        self._soon()

    def close(self) -> None:
        """Let nobody begin to speak."""
        self._closed = True

    def stop(self) -> None:
        """Forget everything: the call is over."""
        self.close()
        self._waiting.clear()
        self._stop_clock()
        if self._gap:
            self._gap.cancel()

    def watch(self, seat: Seat) -> None:
        """Hear of all that a member says."""
        self._seats.append(seat)
        seat.quiet.set()
        seat.session.on("speech_created", lambda event: self._created(seat, event.speech_handle))
        seat.session.on("agent_state_changed", lambda _: self._state_changed(seat))

    def call(self, seat: Seat, begin: Begin, *, first: bool = False) -> None:
        """Let a member speak when its turn comes.

        Args:
            seat: The member.
            begin: Begins what it says.
            first: Before everybody who waits.
        """
        (self._waiting.appendleft if first else self._waiting.append)((seat, begin))
        self._soon(at_once=first)

    def lend(self, lender: Seat, seat: Seat, begin: Begin) -> None:
        """Let another member speak now, while the one that has the floor waits for it."""
        self._lenders.append(lender)
        lender.hold()
        self._give(seat, begin)

    def reserve(self, seat: Seat) -> None:
        """Give a member, which is about to speak, the floor if it is free."""
        if self._holder is None:
            self._give(seat, None)

    def cut(self) -> None:
        """End what is said and what waits."""
        self._waiting.clear()
        for seat in self._seats:
            seat.cut()

    def drop(self, seat: Seat) -> None:
        """Take the floor from a member that is gone or too slow."""
        self._waiting = deque(entry for entry in self._waiting if entry[0] is not seat)
        self._lenders = [lender for lender in self._lenders if lender is not seat]
        seat.cut()
        seat.speeches, seat.turn = set(), None
        if self._holder is seat:
            self._release()

    def _created(self, seat: Seat, speech: SpeechHandle) -> None:
        seat.turn, seat.began = seat.turn or Turn(ITSELF), True
        seat.speeches.add(speech)
        speech.add_done_callback(lambda _: self._ended(seat, speech))
        if self._holder is seat:
            seat.release()
            return
        seat.hold()
        if all(waiting is not seat or begin for waiting, begin in self._waiting):
            self._waiting.append((seat, None))
        self._soon()

    def _ended(self, seat: Seat, speech: SpeechHandle) -> None:
        if speech not in seat.speeches:
            return  # it was dropped
        seat.speeches.discard(speech)
        try:
            self._events.spoke(seat, speech)
        finally:
            if not seat.speeches:
                seat.turn = None
                if self._holder is seat:
                    self._release()

    def _release(self) -> None:
        self._stop_clock()
        if self._holder:
            self._holder.hold()
        self._holder = self._lenders.pop() if self._lenders else None
        if self._holder is None:
            self._soon()
        elif self._holder.speeches:
            self._give(self._holder, None)
        else:
            self._release()

    def _soon(self, *, at_once: bool = False) -> None:
        if self._gap:
            self._gap.cancel()
        self._gap = asyncio.get_running_loop().call_later(0 if at_once else GAP_SECONDS, self._next)

    def _next(self) -> None:
        self._gap = None
        if self._closed or self._holder is not None:
            return
        while self._waiting:
            seat, begin = self._waiting.popleft()
            if seat.alive and (begin or seat.speeches):
                self._give(seat, begin)
                return
        self._events.idle()

    def _give(self, seat: Seat, begin: Begin | None) -> None:
        self._holder = seat
        for other in self._seats:
            other.listen_to(seat)
        seat.resume()
        seat.release()
        self._start_clock()
        if begin is not None:
            task = asyncio.create_task(self._begin(seat, begin))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    async def _begin(self, seat: Seat, begin: Begin) -> None:
        try:
            await begin()
        except Exception as error:  # whatever its session or its model raises
            logger.debug("member %r could not speak: %s", seat.role, one_line(str(error)), exc_info=error)
            self._events.could_not_speak(seat, error)
        if self._holder is seat and not seat.speeches:
            self._release()

    def _state_changed(self, seat: Seat) -> None:
        if seat.speaking:
            seat.quiet.clear()
            if seat.turn and seat.turn.first_sound is None:
                seat.turn.first_sound = time.time()
        else:
            seat.quiet.set()
        if self._holder is not seat:
            return
        if seat.speaking:
            self._stop_clock()
        elif self._clock is None:
            self._start_clock()

    def _start_clock(self) -> None:
        self._stop_clock()
        self._clock = asyncio.get_running_loop().call_later(self._seconds, self._time_is_over)

    def _stop_clock(self) -> None:
        if self._clock:
            self._clock.cancel()
        self._clock = None

    def _time_is_over(self) -> None:
        self._clock = None
        seat = self._holder
        if seat is None or seat.speaking:
            return
        if not seat.listened_to:
            self._start_clock()
            return
        self._events.too_slow(seat)
        self.drop(seat)
