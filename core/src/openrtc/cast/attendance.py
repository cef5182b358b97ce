"""`Attendance`: which people are in the room of a cast, whom its ear hears, and when nobody is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from livekit import rtc

from openrtc.cast.rooms import is_person
from openrtc.cast.seat import Seat

HUNG_UP = (
    rtc.DisconnectReason.CLIENT_INITIATED,
    rtc.DisconnectReason.ROOM_DELETED,
    rtc.DisconnectReason.USER_REJECTED,
    rtc.DisconnectReason.PARTICIPANT_REMOVED,
)
"""Who leaves otherwise has most likely lost the connection, and may come back; the server waits for that."""


class Attendance:
    """Watches who is in the room.

    Args:
        room: The job's room.
        nobody_left: Called when the last person has hung up.
        somebody_left: Called when a person has left and others may be there.
        endless: Whether the call goes on without people.
    """

    def __init__(
        self,
        room: rtc.Room,
        nobody_left: Callable[[str], None],
        somebody_left: Callable[[], None],
        *,
        endless: bool,
    ) -> None:
        self._room = room
        self._nobody_left = nobody_left
        self._somebody_left = somebody_left
        self._endless = endless
        self._somebody = asyncio.Event()
        self._ear: Seat | None = None
        room.on("participant_connected", self._came)
        room.on("participant_disconnected", self._left)

    @property
    def people(self) -> list[rtc.RemoteParticipant]:
        """The people in the room."""
        return [one for one in self._room.remote_participants.values() if is_person(one)]

    @property
    def empty(self) -> bool:
        """Whether no person is in the room."""
        return not self.people

    async def somebody(self) -> None:
        """Wait until the talk may begin: until a person is there, unless it goes on without people anyway."""
        if not self._endless and self.empty:
            await self._somebody.wait()

    @property
    def heard(self) -> str:
        """Identity of the person to listen to: whom the ear has heard last, else anybody; empty without people."""
        known = [one.identity for one in self.people]
        linked = self._linked
        return linked.identity if linked and linked.identity in known else next(iter(known), "")

    def listen(self, ear: Seat) -> None:
        """Let the ear hear another person when the one it hears has left."""
        self._ear = ear

    async def forget_members(self) -> None:
        """Let the ear listen to no member: where the call needs no people, livekit-agents may have chosen one."""
        if self._endless and self._ear is not None:
            await self._ear.session.room_io.wait_for_ready()
            if self.empty:
                self._ear.session.room_io.unset_participant()

    def stop(self) -> None:
        """Watch no more."""
        self._room.off("participant_connected", self._came)
        self._room.off("participant_disconnected", self._left)

    def _came(self, participant: rtc.RemoteParticipant) -> None:
        if is_person(participant):
            self._somebody.set()
            self._hear_somebody()

    def _left(self, participant: rtc.RemoteParticipant) -> None:
        if not is_person(participant):
            return
        self._somebody_left()
        if self.people:
            self._hear_somebody()
        elif not self._endless and participant.disconnect_reason in HUNG_UP:
            self._nobody_left("the last person has left")

    def _hear_somebody(self) -> None:
        if self._ear is None or self._ear.session.input.audio is None:
            return
        linked = self._linked
        if linked is None or linked.identity not in self._room.remote_participants:
            self._ear.session.room_io.set_participant(self.people[0].identity)

    @property
    def _linked(self) -> rtc.RemoteParticipant | None:
        try:
            return self._ear.session.room_io.linked_participant if self._ear else None
        except RuntimeError:
            return None  # its session is closed
