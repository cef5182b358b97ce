"""`EarHandover`: moves the ear of a cast from one member to another, when that is asked for and when it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from openrtc.cast.listening import Listening
from openrtc.cast.member_session import MemberSession
from openrtc.cast.turn_manager import TurnManager
from openrtc.errors import OpenRTCError, summarize_error
from openrtc.observe.events import EarMoved
from openrtc.runtime.live_call import LiveCall

logger = logging.getLogger("openrtc.cast")

SILENCE_SECONDS = 10.0
"""How long a member that is given the ear waits for the end of a sentence."""
CANNOT_FIX = "give it an stt, in its AgentSpec or under [defaults] in openrtc.toml, or a realtime model"


class EarControls(Protocol):
    """What lets a member hear people, where the cast talks."""

    async def prepare_to_listen(self, member: MemberSession) -> None:
        """Let a person's sound reach a member that listens to nobody yet."""

    def start_listening(self, member: MemberSession) -> None:
        """Let a member that is prepared hear people."""

    def stop_listening(self, member: MemberSession) -> None:
        """Let a member hear no more people."""


class EarHandover:
    """Moves the ear.

    Args:
        controls: What lets a member hear people.
        turns: Who speaks next, and who is the ear.
        listening: What the ear hears.
        live: The call.
        lead: Role of the member that is tried first when the ear is lost.
        on_lost: Called when nobody is left who can listen.
    """

    def __init__(
        self,
        controls: EarControls,
        turns: TurnManager,
        listening: Listening,
        live: LiveCall,
        lead: str,
        on_lost: Callable[[], None],
    ) -> None:
        self._controls = controls
        self._turns = turns
        self._listening = listening
        self._live = live
        self._lead = lead
        self._on_lost = on_lost
        self._one_at_a_time = asyncio.Lock()

    def find_successor(self, of: MemberSession) -> MemberSession | None:
        """Return who would listen in the place of a member: the lead, else the next one that can, if any."""
        able = [member for member in self._turns.members if member is not of and member.can_listen]
        return next((member for member in able if member.role == self._lead), able[0] if able else None)

    async def give(self, member: MemberSession, reason: str) -> None:
        """Let a member listen from now on.

        Raises:
            OpenRTCError: It cannot.
        """
        if member is not self._turns.ear and not member.can_listen:
            why = "its speech recognition has failed" if member.hearing_failed else "it has no speech recognition"
            raise OpenRTCError(f"{member.role!r} cannot listen to people: {why}", origin="give_ear()", fix=CANNOT_FIX)
        async with self._one_at_a_time:
            await self._move(member, reason)
        if member is not self._turns.ear:
            raise OpenRTCError(f"{member.role!r} has left before it could listen", origin="give_ear()")

    async def replace_lost(self, lost: MemberSession, reason: str) -> None:
        """Let somebody listen in the place of a member that cannot any more."""
        async with self._one_at_a_time:
            while self._turns.ear is lost:
                if (successor := self.find_successor(lost)) is None:
                    self._on_lost()
                    return
                try:
                    await self._move(successor, reason)
                except Exception as error:  # whatever its models raise when they are made: the next one may be able
                    successor.hearing_failed = True
                    said = summarize_error(error)
                    logger.error("member %r cannot listen to people: %s", successor.role, said, extra=self._live.fields)

    async def _move(self, member: MemberSession, reason: str) -> None:
        previous = self._turns.ear
        await member.started.wait()
        if member is previous or member not in self._turns.members:
            return
        await self._controls.prepare_to_listen(member)
        if previous.alive and not previous.hearing_failed:
            await self._listening.wait_for_silence(SILENCE_SECONDS)
        if member not in self._turns.members:
            return
        # The new one hears before the old one stops: people would otherwise talk to nobody for a moment.
        self._controls.start_listening(member)
        self._turns.ear = member
        self._listening.move(previous, member)
        if previous.alive:
            self._controls.stop_listening(previous)
        self._report_move(member, previous, reason)

    def _report_move(self, member: MemberSession, previous: MemberSession, reason: str) -> None:
        fields = {**self._live.fields, "role": member.role}
        text = "agent %r: member %r listens to people now, in the place of %r: %s"
        logger.info(text, self._live.agent, member.role, previous.role, reason, extra=fields)
        self._live.events.emit(EarMoved(**self._live.fields, member=member.role, previous=previous.role, reason=reason))
