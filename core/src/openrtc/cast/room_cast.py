"""`RoomCast`: a cast in a LiveKit room."""

from __future__ import annotations

from functools import partial
from typing import Any

from livekit import rtc
from livekit.agents import Agent, JobContext
from livekit.agents.voice.room_io import TextInputEvent

from openrtc.call import Call
from openrtc.cast.attendance import Attendance
from openrtc.cast.company import Company
from openrtc.cast.overhearing import Overhearing
from openrtc.cast.rooms import connect_ear, connect_member, room_options
from openrtc.cast.running import RunningCast
from openrtc.cast.seat import Seat
from openrtc.observe.events import MemberJoined
from openrtc.worker.runtime import Runtime
from openrtc.worker.speed.profile import start_options
from openrtc.worker.upstream.speech import keep_transcripts


class RoomCast(RunningCast):
    """A cast in a LiveKit room, where it talks until the call ends.

    Args:
        context: LiveKit's context of the job.
        company: The cast.
        call: The call.
        runtime: What the calls of this process share.
    """

    def __init__(self, context: JobContext, company: Company, call: Call, runtime: Runtime) -> None:
        super().__init__(context, company, call, runtime)
        endless = company.cast.ends == "never"
        self._attendance = Attendance(context.room, self.end, self._somebody_left, endless=endless)

    def is_empty(self) -> bool:
        """Whether no person is in the room."""
        return self._attendance.empty

    def stopped(self) -> None:
        """Watch no more who comes and goes."""
        self._attendance.stop()

    async def run(self) -> None:
        """Bring everybody into the room, then let the lead open."""
        await self.gather_members()
        if not self.over:
            self.spawn(self._open())
            await self.tell_started()

    async def start_seat(self, seat: Seat, agent: Agent) -> None:
        """Join the room as a participant, and start the member's session there."""
        if seat.is_ear:
            await connect_ear(seat, self.company, self.context)
        else:
            await self._connect(seat, agent)
        assert seat.room is not None
        wanted = room_options(seat, self.company, self.call.job_id, self._typed)
        options = start_options(self.runtime.config.worker.profile, wanted)
        recording: dict[str, Any] = {} if seat.is_ear else {"record": False}
        await seat.session.start(agent, room=seat.room, **options, **recording)
        if seat.is_ear:
            self._attendance.listen(seat)
        if seat.hears_members:  # each member writes its own words itself
            keep_transcripts(seat.session)
        if seat.alive and not self.over:
            self.live.events.emit(MemberJoined(**self.live.fields, member=seat.role, identity=seat.identity))

    async def _connect(self, seat: Seat, agent: Agent) -> None:
        if seat.hears_members:
            Overhearing(seat, self.talk).start(agent)
        await connect_member(seat, self.company, self.context, self.runtime)
        assert seat.room is not None
        seat.room.on("disconnected", partial(self._disconnected, seat))

    async def _open(self) -> None:
        await self._attendance.somebody()
        await self._attendance.forget_members()
        await self.talk.open()

    async def _typed(self, session: Any, event: TextInputEvent) -> None:
        await self.listening.typed(session, event)

    def _somebody_left(self) -> None:
        if not self.over:
            self.listening.person_left()

    def _disconnected(self, seat: Seat, reason: Any) -> None:
        self.fail(seat, f"its participant is out of the room: {rtc.DisconnectReason.Name(reason)}")
