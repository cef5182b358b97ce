"""`RoomCast`: a cast in a LiveKit room."""

from __future__ import annotations

from functools import partial
from typing import Any

from livekit import rtc
from livekit.agents import Agent, JobContext

from openrtc.call import Call
from openrtc.cast.attendance import Attendance
from openrtc.cast.company import Company
from openrtc.cast.overhearing import Overhearing
from openrtc.cast.rooms import (
    connect_ear,
    connect_member,
    room_options,
    subscribe,
    take_typed_text,
    wait_until_heard,
    without_past,
)
from openrtc.cast.running import RunningCast
from openrtc.cast.seat import Seat
from openrtc.observe.events import MemberJoined
from openrtc.worker.runtime import Runtime
from openrtc.worker.speed.profile import start_options
from openrtc.worker.upstream.speech import keep_transcripts, tell_transcripts

SUBSCRIBE_SECONDS = 2.0
"""How long a member that is to listen waits for the person's sound."""


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
        self._overhearing: dict[str, Overhearing] = {}
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
        if seat.listens:
            await connect_ear(seat, self.company, self.context)
            self._take_typed_text(seat)
        else:
            room = await connect_member(seat, self.company, self.context, self.runtime)
            room.on("disconnected", partial(self._disconnected, seat))
        if self.company.cast.hears == "audio":
            self._overhearing[seat.role] = Overhearing(seat, self.talk)
            self._overhearing[seat.role].start(agent)
        await self._start(seat, agent)
        if seat.listens:
            self._attendance.listen(seat)
        if seat.hears_members:  # each member writes its own words itself
            keep_transcripts(seat.session)
        if seat.alive and not self.over:
            self.live.events.emit(MemberJoined(**self.live.fields, member=seat.role, identity=seat.identity))
        seat.started.set()

    async def _start(self, seat: Seat, agent: Agent) -> None:
        assert seat.room is not None
        wanted = room_options(seat, self.company, self.call.job_id)
        options = start_options(self.runtime.config.worker.profile, wanted)
        if not seat.in_jobs_room:
            if not seat.hears_members:
                seat.session.input.set_audio_enabled(False)
            options = {**options, "room_options": without_past(options["room_options"]), "record": False}
        await seat.session.start(agent, room=seat.room, **options)

    def _take_typed_text(self, ear: Seat) -> None:
        options = ear.part.spec.room_options
        if options is None or options.text_input is not False:
            take_typed_text(self.context.room, self.listening.said)

    async def prepare_to_listen(self, seat: Seat) -> None:
        """Let a person's sound reach a member that listens to nobody yet."""
        seat.listens = True
        subscribe(seat, self.company, self.call.job_id)
        await wait_until_heard(seat, self._attendance.heard, SUBSCRIBE_SECONDS)

    def listen(self, seat: Seat) -> None:
        """Let a member that is prepared hear people."""
        if seat.hears_members:
            seat.hears_members = False
            tell_transcripts(seat.session)
        seat.session.room_io.set_participant(self._attendance.heard)
        super().listen(seat)
        seat.session.input.set_audio_enabled(True)
        self._attendance.listen(seat)

    def listen_no_more(self, seat: Seat) -> None:
        """Let a member hear no more people."""
        seat.listens = False
        if self.company.cast.hears == "audio":
            seat.hears_members = True
            keep_transcripts(seat.session)
            self._overhearing[seat.role].start(seat.session.current_agent)
        else:
            seat.session.input.set_audio_enabled(False)
            super().listen_no_more(seat)
        subscribe(seat, self.company, self.call.job_id)

    async def _open(self) -> None:
        await self._attendance.somebody()
        await self._attendance.forget_members()
        await self.talk.open()

    def _somebody_left(self) -> None:
        if not self.over:
            self.listening.person_left()

    def _disconnected(self, seat: Seat, reason: Any) -> None:
        self.fail(seat, f"its participant is out of the room: {rtc.DisconnectReason.Name(reason)}")
