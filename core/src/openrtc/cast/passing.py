"""`Passing`: how the ear of a cast passes from one member to another, when that is wanted and when it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from openrtc.cast.listening import Listening
from openrtc.cast.seat import Seat
from openrtc.cast.talk import Talk
from openrtc.errors import OpenRTCError, one_line
from openrtc.observe.events import EarMoved
from openrtc.worker.live_call import LiveCall

logger = logging.getLogger("openrtc.cast")

SILENCE_SECONDS = 10.0
"""How long a member that is given the ear waits for the end of a sentence."""
CANNOT_FIX = "give it an stt, in its AgentSpec or under [defaults] in openrtc.toml, or a realtime model"


class Hearing(Protocol):
    """What a member needs to hear people, where the cast talks."""

    async def prepare_to_listen(self, seat: Seat) -> None:
        """Let a person's sound reach a member that listens to nobody yet."""

    def listen(self, seat: Seat) -> None:
        """Let a member that is prepared hear people."""

    def listen_no_more(self, seat: Seat) -> None:
        """Let a member hear no more people."""


class Passing:
    """Passes the ear on.

    Args:
        hearing: What a member needs to hear people.
        talk: The talk.
        listening: What the ear hears.
        live: The call.
        lead: Role of the member that is asked first when the ear is lost.
        lost: Called when nobody is left who can listen.
    """

    def __init__(
        self, hearing: Hearing, talk: Talk, listening: Listening, live: LiveCall, lead: str, lost: Callable[[], None]
    ) -> None:
        self._hearing = hearing
        self._talk = talk
        self._listening = listening
        self._live = live
        self._lead = lead
        self._lost = lost
        self._one_at_a_time = asyncio.Lock()

    def heir(self, but: Seat | None) -> Seat | None:
        """Return who would listen in the place of a member: the lead, else the next one that can, if any."""
        able = [seat for seat in self._talk.seats if seat is not but and seat.can_listen]
        return next((seat for seat in able if seat.role == self._lead), able[0] if able else None)

    async def give(self, seat: Seat, reason: str) -> None:
        """Let a member listen from now on.

        Raises:
            OpenRTCError: It cannot.
        """
        if seat is not self._talk.ear and not seat.can_listen:
            why = "its speech recognition has failed" if seat.hearing_failed else "it has no speech recognition"
            raise OpenRTCError(f"{seat.role!r} cannot listen to people: {why}", origin="give_ear()", fix=CANNOT_FIX)
        async with self._one_at_a_time:
            await self._give(seat, reason)
        if seat is not self._talk.ear:
            raise OpenRTCError(f"{seat.role!r} has left before it could listen", origin="give_ear()")

    async def pass_on(self, lost: Seat, reason: str) -> None:
        """Let somebody listen in the place of a member that cannot any more."""
        async with self._one_at_a_time:
            while self._talk.ear is lost:
                if (heir := self.heir(lost)) is None:
                    self._lost()
                    return
                try:
                    await self._give(heir, reason)
                except Exception as error:  # whatever its models raise when they are made
                    heir.hearing_failed = True
                    said = one_line(f"{type(error).__name__}: {error}")
                    logger.error("member %r cannot listen to people: %s", heir.role, said, extra=self._live.fields)

    async def _give(self, seat: Seat, reason: str) -> None:
        previous = self._talk.ear
        assert previous is not None, "the ear is there from the beginning"
        await seat.started.wait()
        if seat is previous or _is_gone(seat):
            return
        await self._hearing.prepare_to_listen(seat)
        if previous.alive and not previous.hearing_failed:
            await self._listening.silence(SILENCE_SECONDS)
        if _is_gone(seat):
            return
        self._hearing.listen(seat)
        self._talk.ear = seat
        self._listening.move(seat)
        if previous.alive:
            self._hearing.listen_no_more(previous)
        self._tell(seat, previous, reason)

    def _tell(self, seat: Seat, previous: Seat, reason: str) -> None:
        fields = {**self._live.fields, "role": seat.role}
        text = "agent %r: member %r listens to people now, in the place of %r: %s"
        logger.info(text, self._live.agent, seat.role, previous.role, reason, extra=fields)
        self._live.events.emit(EarMoved(**self._live.fields, member=seat.role, previous=previous.role, reason=reason))


def _is_gone(seat: Seat) -> bool:
    return not seat.alive
