"""`RunningCast`: one call of a cast from its first member's arrival to the last one's leaving."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from livekit import rtc
from livekit.agents import Agent, CloseEvent, JobContext
from livekit.agents.voice.room_io import TextInputEvent

from openrtc.call import Call
from openrtc.cast.attendance import Attendance
from openrtc.cast.cast_member import CastMember
from openrtc.cast.company import Company, Part, part_of
from openrtc.cast.declaration import Member
from openrtc.cast.joining import build_seat
from openrtc.cast.listening import Listening
from openrtc.cast.overhearing import Overhearing
from openrtc.cast.rooms import connect_ear, connect_member, room_options
from openrtc.cast.seat import Seat
from openrtc.cast.talk import Talk
from openrtc.errors import OpenRTCError, one_line
from openrtc.observe.events import MemberJoined, MemberLeft
from openrtc.worker.failure import place_of
from openrtc.worker.live_call import LiveCall
from openrtc.worker.runtime import HOOK_LIMIT, CastFrontend, Runtime
from openrtc.worker.session import end_with_hooks, tell_model_error, watch_on_enter

logger = logging.getLogger("openrtc.cast")


async def run_cast(context: JobContext, company: Company, call: Call, runtime: Runtime) -> None:
    """Bring every member of a cast into the job's room, and let them talk until the call ends; or let them write.

    Args:
        context: LiveKit's context of the job.
        company: The cast.
        call: The call.
        runtime: What the calls of this process share.

    Raises:
        OpenRTCError: There is no room, and whoever talks to the cast cannot do so without one.
    """
    if not context.is_fake_job():
        await RunningCast(context, company, call, runtime).start()
    elif isinstance(runtime.frontend, CastFrontend) and runtime.frontend.text_only:
        await RunningCast(context, company, call, runtime).write(runtime.frontend)
    else:
        raise company.why_no_room


class RunningCast:
    """One call of a cast.

    Args:
        context: LiveKit's context of the job.
        company: The cast.
        call: The call.
        runtime: What the calls of this process share.
    """

    def __init__(self, context: JobContext, company: Company, call: Call, runtime: Runtime) -> None:
        self._context = context
        self._company = company
        self._call = call
        self._runtime = runtime
        self._live: LiveCall = runtime.live[call.job_id]
        self._attendance = Attendance(context.room, self._end, endless=company.cast.ends == "never")
        self._talk = Talk(company.cast, self._live, self._fail, lambda: self._attendance.empty)
        self._listening: Listening | None = None
        self._over = False
        self._leaving: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Bring everybody into the room, then let the lead open."""
        self._context.add_shutdown_callback(self._aclose)
        end_with_hooks(self._context, self._call, self._runtime)
        self._runtime.served += 1
        await self._seat_ear()
        others = [part for part in self._company.parts if part.role != self._company.cast.ear]
        await asyncio.gather(*(self._seat_other(part) for part in others))
        if self._over:
            return
        self._live.started()
        self._spawn(self._open())
        await self._runtime.hooks.collect("openrtc_session_started", limit=HOOK_LIMIT, call=self._call)

    async def write(self, frontend: CastFrontend) -> None:
        """Hold the conversation in text, without a room."""
        self._context.add_shutdown_callback(self._aclose)
        end_with_hooks(self._context, self._call, self._runtime)
        self._runtime.served += 1
        for part in self._company.parts:
            await self._as_member(part, partial(self._take_place_at_the_table, frontend))
        self._live.started()
        await self._runtime.hooks.collect("openrtc_session_started", limit=HOOK_LIMIT, call=self._call)
        await self._talk.open()
        await frontend.with_cast(self._say, self._quiet)
        self._end("the conversation is over")

    async def _take_place_at_the_table(self, frontend: CastFrontend, part: Part, member: CastMember) -> None:
        seat, agent = await self._build(part, member, text_only=True)
        if seat.is_ear:
            self._listening = Listening(seat, self._talk)
        self._talk.join(seat, len(self._talk.everybody))
        await frontend.before_member(self._call, seat.session, seat.name, is_ear=seat.is_ear)
        await seat.session.start(agent)

    async def _say(self, text: str) -> None:
        assert self._listening is not None
        await self._listening.said(text)

    async def _quiet(self) -> None:
        resting = 0
        while resting < 3 and not self._over:
            resting = resting + 1 if self._talk.floor.at_rest else 0
            await asyncio.sleep(0.05)

    async def _open(self) -> None:
        await self._attendance.somebody()
        await self._attendance.forget_members()
        await self._talk.open()

    async def _seat_ear(self) -> None:
        part = self._company.ear
        await self._as_member(part, self._take_ear)

    async def _take_ear(self, part: Part, member: CastMember) -> None:
        seat, agent = await self._build(part, member)
        self._listening = Listening(seat, self._talk)
        self._listening.start(agent)
        await connect_ear(seat, self._company, self._context)
        await self._take_seat(seat, agent)
        self._attendance.listen(seat)

    async def _seat_other(self, part: Part) -> None:
        try:
            await self._as_member(part, self._take_other)
        except (Exception, SystemExit) as error:
            if not self._over:
                self._could_not_join(part, error)

    async def _take_other(self, part: Part, member: CastMember) -> None:
        seat, agent = await self._build(part, member)
        if seat.hears_members:
            Overhearing(seat, self._talk).start(agent)
        try:
            await connect_member(seat, self._company, self._context, self._runtime)
            assert seat.room is not None
            seat.room.on("disconnected", partial(self._disconnected, seat))
            await self._take_seat(seat, agent)
        except BaseException:
            await seat.leave()
            raise

    async def _build(self, part: Part, member: CastMember, *, text_only: bool = False) -> tuple[Seat, Agent]:
        company = self._company
        seat, agent = await build_seat(part, member, company, self._call, self._runtime, text_only=text_only)
        watch_on_enter(agent, partial(self._failed_to_enter, seat), seat.entered.set)
        seat.session.on("error", lambda event: tell_model_error(event, self._live))
        seat.session.on("close", lambda event: self._closed(seat, event))
        return seat, agent

    async def _take_seat(self, seat: Seat, agent: Agent) -> None:
        assert seat.room is not None
        self._talk.join(seat, self._place_of(seat))
        options = room_options(seat, self._company, self._call.job_id, self._typed)
        recording: dict[str, Any] = {} if seat.is_ear else {"record": False}
        await seat.session.start(agent, room=seat.room, room_options=options, **recording)
        if self._over:
            await seat.leave()
            return
        self._live.events.emit(MemberJoined(**self._live.fields, member=seat.role, identity=seat.identity))

    def _place_of(self, seat: Seat) -> int:
        order = [part.role for part in self._company.parts]
        return sum(order.index(other.role) < order.index(seat.role) for other in self._talk.everybody)

    async def _as_member(self, part: Part, work: Any) -> None:
        # A task has a context of its own: what is made in it counts as this member's code.
        task = asyncio.create_task(work(part, CastMember(part.role, self)), name=f"member-{part.role}")
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    async def _typed(self, session: Any, event: TextInputEvent) -> None:
        if self._listening:
            await self._listening.typed(session, event)

    # What the members' code asks for: the interface `Stage`.

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the members that take part."""
        return tuple(seat.role for seat in self._talk.seats)

    def send(self, sender: str, role: str, text: str) -> None:
        """Tell a member something."""
        self._talk.send(self._talk.seat(sender), role, text)

    async def ask(self, asker: str, role: str, text: str, seconds: float) -> str:
        """Return what a member answers."""
        return await self._talk.ask(self._talk.seat(asker), role, text, seconds)

    def broadcast(self, sender: str, text: str) -> None:
        """Tell all members something."""
        self._talk.broadcast(self._talk.seat(sender), text)

    def hand_over(self, role: str) -> None:
        """Let a member answer people."""
        self._talk.hand_over(role)

    async def add(self, member: Member) -> None:
        """Let another member join.

        Raises:
            OpenRTCError: Its role is taken, or it cannot be built.
        """
        if member.role in self.roles:
            raise OpenRTCError(f"the role {member.role!r} is taken", origin="add()", fix="choose another role")
        part = part_of(member, self._runtime.catalog.agents)
        parts = [one for one in self._company.parts if one.role != member.role]
        self._company = replace(self._company, parts=(*parts, part))
        await self._as_member(part, self._take_other)

    async def remove(self, role: str) -> None:
        """Let a member leave.

        Raises:
            OpenRTCError: No such member takes part, or it is the ear.
        """
        seat = self._talk.seat(role)
        if seat.is_ear:
            fix = "remove another member, or end the call"
            raise OpenRTCError(f"{role!r} is the ear: the call hears through it", origin="remove()", fix=fix)
        self._leave(seat, "it was removed", failed=False)

    # How members are lost, and how the call ends.

    def _failed_to_enter(self, seat: Seat, error: BaseException) -> None:
        said, place = one_line(f"{type(error).__name__}: {error}"), place_of(error)
        self._live.error("agent", error, place, member=seat.role, fatal=seat.is_ear)
        self._fail(seat, f"failed in on_enter: {said} at {place}")

    def _could_not_join(self, part: Part, error: BaseException) -> None:
        said = str(error) if isinstance(error, OpenRTCError) else one_line(f"{type(error).__name__}: {error}")
        ends = self._company.cast.on_crash == "end"
        self._live.error("agent", error, "", member=part.role, fatal=ends)
        self._log(logging.ERROR, part.role, f"could not join: {said}", ends)
        self._live.events.emit(MemberLeft(**self._live.fields, member=part.role, reason=said, failed=True))
        if ends:
            self._end(f"member {part.role!r} could not join")

    def _disconnected(self, seat: Seat, reason: Any) -> None:
        if seat.alive and not self._over:
            name = rtc.DisconnectReason.Name(reason)
            self._fail(seat, f"its participant is out of the room: {name}")

    def _closed(self, seat: Seat, event: CloseEvent) -> None:
        if self._over or not seat.alive:
            return
        if event.error is not None:
            self._fail(seat, f"its session ended: {one_line(str(event.error))}")
        else:
            self._leave(seat, f"its session ended: {event.reason.value}", failed=False)

    def _fail(self, seat: Seat, why: str) -> None:
        if seat.alive and not self._over:
            self._leave(seat, why, failed=True)

    def _leave(self, seat: Seat, why: str, *, failed: bool) -> None:
        ends = seat.is_ear or (failed and self._company.cast.on_crash == "end")
        self._log(logging.ERROR if failed else logging.INFO, seat.role, why, ends)
        self._live.events.emit(MemberLeft(**self._live.fields, member=seat.role, reason=why, failed=failed))
        self._live.failed = self._live.failed or (failed and ends)
        self._talk.leave(seat, why)
        if ends:
            self._end(f"member {seat.role!r}: {why}")
        if not seat.is_ear:
            self._leaving.append(asyncio.create_task(seat.leave()))

    def _log(self, level: int, role: str, why: str, ends: bool) -> None:
        goes_on = "this call is ended, the others go on" if ends else "the other members go on"
        fields = {**self._live.fields, "role": role}
        logger.log(level, "agent %r: member %r: %s; %s", self._live.agent, role, why, goes_on, extra=fields)

    def _end(self, reason: str) -> None:
        if not self._over:
            self._stop()
            self._context.shutdown(reason)

    def _stop(self) -> None:
        if self._over:
            return
        self._over = True
        self._talk.stop()
        self._attendance.stop()
        if self._listening:
            self._listening.stop()
        for seat in self._talk.seats:
            if not seat.is_ear:  # whose session livekit-agents closes with the job
                self._leaving.append(asyncio.create_task(seat.leave()))

    async def _aclose(self, reason: str) -> None:
        self._stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._leaving, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
