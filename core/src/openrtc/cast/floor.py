"""`Floor`: lets one member speak at a time, whatever its own code does.

Without it, members that greet at once barge in on each other: each one's speech interrupts the other's, without end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from livekit.agents.voice import SpeechHandle

from openrtc.cast.member_session import MemberSession
from openrtc.cast.turn import MemberTurn
from openrtc.errors import summarize_error

logger = logging.getLogger("openrtc.cast")

GAP_SECONDS = 0.25
"""Silence between two members."""

Begin = Callable[[], Awaitable[Any]]


class FloorEvents(Protocol):
    """What the floor calls when something happens on it."""

    def on_speech_ended(self, member: MemberSession, speech: SpeechHandle) -> None:
        """A member has ended a speech."""

    def on_turn_failed(self, member: MemberSession, why: str) -> None:
        """A member had the floor and was not heard in time, or could not even begin."""

    def on_idle(self) -> None:
        """Nobody has the floor or waits for it."""


class Floor:
    """Lets one member speak at a time.

    Every session announces every speech (``speech_created``) before any of it is heard, also one that the agent's own
    code begins. livekit-agents' authorisation of playback holds it back until the member has the floor, so that it is
    prepared meanwhile. The member keeps the floor until all that it had to say is said.

    The attribute ``holder`` is the member that has the floor; while ``closed``, nobody may begin to speak, since a
    person does, and while ``asleep``, since nobody is there.

    Args:
        events: What is called when something happens.
        seconds: How long a member may have the floor without being heard.
    """

    def __init__(self, events: FloorEvents, seconds: float) -> None:
        self._events = events
        self._seconds = seconds
        self.holder: MemberSession | None = None
        self._lenders: list[MemberSession] = []
        self._waiting: deque[tuple[MemberSession, Begin | None]] = deque()
        self.closed = True
        self.asleep = False
        self._gap: asyncio.TimerHandle | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._members: list[MemberSession] = []
        self._beginning: set[asyncio.Task[None]] = set()

    @property
    def at_rest(self) -> bool:
        """Whether nobody speaks or is about to."""
        return self.holder is None and not self._waiting and self._gap is None

    def open(self) -> None:
        """Let members speak."""
        self.closed = False
        self._schedule_next()

    def close(self) -> None:
        """Let nobody begin to speak."""
        self.closed = True

    def sleep(self) -> None:
        """Let nobody begin to speak, whoever opens the floor: nobody is there."""
        self.asleep = True

    def wake(self) -> None:
        """Let members speak again."""
        self.asleep = False
        self._schedule_next()

    def stop(self) -> None:
        """Forget everything: the call is over."""
        self.close()
        self._waiting.clear()
        self._stop_clock()
        if self._gap:
            self._gap.cancel()

    def watch(self, member: MemberSession) -> None:
        """Follow all that a member says."""
        self._members.append(member)
        member.quiet.set()
        member.session.on("speech_created", lambda event: self._on_speech_created(member, event.speech_handle))
        member.session.on("agent_state_changed", lambda _: self._on_state_changed(member))

    def call(self, member: MemberSession, begin: Begin, *, first: bool = False) -> None:
        """Let a member speak when its turn comes.

        Args:
            member: The member.
            begin: Begins what it says.
            first: Before everybody who waits.
        """
        (self._waiting.appendleft if first else self._waiting.append)((member, begin))
        self._schedule_next(at_once=first)

    def lend(self, lender: MemberSession, member: MemberSession, begin: Begin) -> None:
        """Let another member speak now, while the one that has the floor waits for it."""
        self._lenders.append(lender)
        lender.hold()
        self._give(member, begin)

    def reserve(self, member: MemberSession) -> None:
        """Give a member, which livekit-agents is about to let speak, the floor if it is free."""
        if self.holder is None:
            self._give(member, None)

    def cut(self) -> None:
        """End what is said and what waits."""
        self._waiting.clear()
        for member in self._members:
            member.cut()

    def drop(self, member: MemberSession) -> None:
        """Take the floor from a member that is gone or too slow."""
        self._waiting = deque(entry for entry in self._waiting if entry[0] is not member)
        self._lenders = [lender for lender in self._lenders if lender is not member]
        member.cut()
        member.speeches, member.turn = set(), None
        if self.holder is member:
            self._release()

    def _schedule_next(self, *, at_once: bool = False) -> None:
        if self._gap:
            self._gap.cancel()
        self._gap = asyncio.get_running_loop().call_later(0 if at_once else GAP_SECONDS, self._give_to_next)

    def _give_to_next(self) -> None:
        self._gap = None
        if self.closed or self.asleep or self.holder is not None:
            return
        while self._waiting:
            member, begin = self._waiting.popleft()
            if member.alive and (begin or member.speeches):
                self._give(member, begin)
                return
        self._events.on_idle()

    def _give(self, member: MemberSession, begin: Begin | None) -> None:
        self.holder = member
        for other in self._members:
            other.turn_to(member)
        # A false alarm may have paused it when it spoke last: without this it would stay silent.
        member.resume()
        member.release()
        self._start_clock()
        if begin is not None:
            task = asyncio.create_task(self._begin(member, begin))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    async def _begin(self, member: MemberSession, begin: Begin) -> None:
        try:
            await begin()
        except Exception as error:  # whatever its session or its model raises must not leave the floor taken
            said = summarize_error(error)
            logger.debug("member %r could not speak: %s", member.role, said, exc_info=error)
            self._events.on_turn_failed(member, said)
        if self.holder is member and not member.speeches:
            self._release()

    def _release(self) -> None:
        self._stop_clock()
        if self.holder:
            self.holder.hold()
        # Whoever has lent the floor goes on with the answer, unless its own speech was cut meanwhile.
        self.holder = self._lenders.pop() if self._lenders else None
        if self.holder is None:
            self._schedule_next()
        elif self.holder.speeches:
            self._give(self.holder, None)
        else:
            self._release()

    def _on_speech_created(self, member: MemberSession, speech: SpeechHandle) -> None:
        member.turn, member.began = member.turn or MemberTurn("itself"), True
        member.speeches.add(speech)
        speech.add_done_callback(lambda _: self._on_speech_ended(member, speech))
        if self.holder is member:
            member.release()
            return
        member.hold()
        # Once in the queue is enough: a member keeps the floor until all its speeches are said.
        if all(waiting is not member or begin for waiting, begin in self._waiting):
            self._waiting.append((member, None))
        self._schedule_next()

    def _on_speech_ended(self, member: MemberSession, speech: SpeechHandle) -> None:
        if speech not in member.speeches:
            return  # it was dropped
        member.speeches.discard(speech)
        try:
            self._events.on_speech_ended(member, speech)
        finally:
            if not member.speeches:
                member.turn = None
                if self.holder is member:
                    self._release()

    def _on_state_changed(self, member: MemberSession) -> None:
        if member.speaking:
            member.quiet.clear()
            if member.turn and member.turn.first_sound is None:
                member.turn.first_sound = time.time()
        else:
            member.quiet.set()
        if self.holder is not member:
            return
        if member.speaking:
            self._stop_clock()
        elif self._clock is None:
            self._start_clock()

    def _start_clock(self) -> None:
        self._stop_clock()
        self._clock = asyncio.get_running_loop().call_later(self._seconds, self._on_timeout)

    def _stop_clock(self) -> None:
        if self._clock:
            self._clock.cancel()
        self._clock = None

    def _on_timeout(self) -> None:
        self._clock = None
        member = self.holder
        if member is None or member.speaking:
            return
        if not member.has_listeners:
            # Nobody could hear it, however fast it is: in an empty room it would lose every turn.
            self._start_clock()
            return
        self._events.on_turn_failed(member, f"was not heard within {self._seconds:g} s")
        self.drop(member)
