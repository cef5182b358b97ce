"""`Presence`: which people are in the room of a cast, and whom its ear hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from livekit import rtc

from openrtc.cast.member_session import MemberSession
from openrtc.session.participant import is_person


class Presence:
    """Watches who is in the room.

    The cast does this itself: livekit-agents links one participant to a session, and closes it when that one leaves.

    Args:
        room: The job's room.
        on_left: Called when a person has left.
        endless: Whether the call goes on without people.
    """

    def __init__(self, room: rtc.Room, on_left: Callable[[], None], *, endless: bool) -> None:
        self._room = room
        self._on_left = on_left
        self._endless = endless
        self._somebody = asyncio.Event()
        self._ear: MemberSession | None = None
        room.on("participant_connected", self._on_connected)
        room.on("participant_disconnected", self._on_disconnected)

    @property
    def people(self) -> list[rtc.RemoteParticipant]:
        """The people in the room."""
        return [one for one in self._room.remote_participants.values() if is_person(one)]

    @property
    def empty(self) -> bool:
        """Whether no person is in the room."""
        return not self.people

    @property
    def listened_to(self) -> str:
        """Identity of the person to listen to: whom the ear has heard last, else anybody; empty without people."""
        known = [one.identity for one in self.people]
        linked = self._ear.linked if self._ear else None
        return linked.identity if linked and linked.identity in known else next(iter(known), "")

    async def wait_until_open(self) -> None:
        """Wait until the lead may open: until a person is there, unless the call goes on without people anyway."""
        if not self._endless and self.empty:
            await self._somebody.wait()

    def set_ear(self, ear: MemberSession) -> None:
        """Let the ear hear another person when the one it hears has left."""
        self._ear = ear

    async def unlink_members(self) -> None:
        """Let the ear listen to no member: where the call needs no people, livekit-agents may have linked one."""
        if self._endless and self._ear is not None:
            await self._ear.session.room_io.wait_for_ready()
            if self.empty:
                self._ear.session.room_io.unset_participant()

    def stop(self) -> None:
        """Watch no more."""
        self._room.off("participant_connected", self._on_connected)
        self._room.off("participant_disconnected", self._on_disconnected)

    def _on_connected(self, participant: rtc.RemoteParticipant) -> None:
        if is_person(participant):
            self._somebody.set()
            self._link_somebody()

    def _on_disconnected(self, participant: rtc.RemoteParticipant) -> None:
        if not is_person(participant):
            return
        self._on_left()
        if self.people:
            self._link_somebody()

    def _link_somebody(self) -> None:
        if self._ear is None or self._ear.session.input.audio is None:
            return  # its session has not started: livekit-agents will link the first person itself
        linked = self._ear.linked
        if linked is None or linked.identity not in self._room.remote_participants:
            self._ear.session.room_io.set_participant(self.people[0].identity)
