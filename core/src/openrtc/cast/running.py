"""`RunningCast`: the members of one call: how they are built, what their code asks for, and how they are lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from livekit.agents import Agent, APIError, CloseEvent, ErrorEvent, JobContext
from livekit.agents.stt import STTError

from openrtc.call import Call
from openrtc.cast.cast_member import CastMember
from openrtc.cast.company import Company, Part, part_of
from openrtc.cast.declaration import Member
from openrtc.cast.joining import build_seat
from openrtc.cast.line import Line
from openrtc.cast.listening import Listening
from openrtc.cast.passing import Passing
from openrtc.cast.seat import Seat
from openrtc.cast.talk import Talk
from openrtc.errors import OpenRTCError, one_line
from openrtc.observe.events import MemberLeft
from openrtc.worker.failure import place_of
from openrtc.worker.live_call import LiveCall
from openrtc.worker.runtime import HOOK_LIMIT, Runtime
from openrtc.worker.session import end_with_hooks, tell_model_error, watch_on_enter

logger = logging.getLogger("openrtc.cast")

JOB_END_SECONDS = 0.5

T = TypeVar("T")


class RunningCast:
    """The members of one call; what all of them need, wherever they talk.

    Args:
        context: LiveKit's context of the job.
        company: The cast.
        call: The call.
        runtime: What the calls of this process share.
    """

    text_only = False

    def __init__(self, context: JobContext, company: Company, call: Call, runtime: Runtime) -> None:
        self.context = context
        self.company = company
        self.call = call
        self.runtime = runtime
        self.live: LiveCall = runtime.live[call.job_id]
        self.talk = Talk(company.cast, self.live, self.fail, self.is_empty)
        self.over = False
        self._agents: dict[str, Agent] = {}
        self._listening: Listening | None = None
        self._passing: Passing | None = None
        self._leaving: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    # What the places where casts talk differ in.

    def is_empty(self) -> bool:
        """Whether no person is there."""
        return False

    async def start_seat(self, seat: Seat, agent: Agent) -> None:
        """Bring a member in, and start its session."""
        raise NotImplementedError

    def stopped(self) -> None:
        """Stop what else goes on: the call is over."""

    async def prepare_to_listen(self, seat: Seat) -> None:
        """Let a person's sound reach a member that listens to nobody yet."""

    def listen(self, seat: Seat) -> None:
        """Let a member that is prepared hear people."""
        if seat.ears is not None:
            seat.ears.open(seat.session)

    def listen_no_more(self, seat: Seat) -> None:
        """Let a member hear no more people."""
        if seat.ears is not None:
            seat.ears.close(seat.session)

    # How it begins.

    @property
    def listening(self) -> Listening:
        """What the ear hears."""
        assert self._listening is not None, "the ear is built first"
        return self._listening

    @property
    def passing(self) -> Passing:
        """How the ear is passed on."""
        assert self._passing is not None, "the ear is built first"
        return self._passing

    async def gather_members(self) -> None:
        """Build everybody, then bring everybody in, the ear first; whoever fails is left out or ends the call."""
        self.context.add_shutdown_callback(self._aclose)
        end_with_hooks(self.context, self.call, self.runtime)
        self.runtime.served += 1
        built = await asyncio.gather(*(self._built(part) for part in self.company.parts))
        seats = [seat for seat in built if seat is not None]
        for seat in seats:
            self.talk.join(seat)
        (ear,) = (seat for seat in seats if seat.listens)
        self._listening = Listening(ear, self.talk)
        self._listening.start(self._agents[ear.role])
        lead = self.company.cast.lead
        self._passing = Passing(self, self.talk, self._listening, self.live, lead, self._nobody_listens)
        await self._in_context_of(ear, self.start_seat(ear, self._agents[ear.role]))
        await asyncio.gather(*(self._started(seat) for seat in seats if seat is not ear))

    async def tell_started(self) -> None:
        """Tell that the call has begun."""
        self.live.started()
        await self.runtime.hooks.collect("openrtc_session_started", limit=HOOK_LIMIT, call=self.call)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something until the call is over."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _built(self, part: Part) -> Seat | None:
        try:
            return await self._build(part)
        except (Exception, SystemExit) as error:
            if part.role == self.company.cast.ear:
                raise
            self._could_not_join(part, error)
            return None

    async def _build(self, part: Part) -> Seat:
        # A task has a context of its own: what is made in it counts as this member's code.
        member = CastMember(part.role, self)
        building = build_seat(part, member, self.company, self.call, self.runtime, text_only=self.text_only)
        seat, agent = await asyncio.create_task(building, name=f"build-{part.role}")
        watch_on_enter(agent, partial(self._failed_to_enter, seat), seat.entered.set)
        seat.session.on("error", partial(self._model_failed, seat))
        seat.session.on("close", lambda event: self._closed(seat, event))
        self._agents[part.role] = agent
        return seat

    async def _started(self, seat: Seat) -> None:
        try:
            await self._in_context_of(seat, self.start_seat(seat, self._agents[seat.role]))
        except (Exception, SystemExit) as error:
            if not self.over and seat.alive:
                self.lose(seat, self._told(seat.part, error), failed=True)
        if self.over or not seat.alive:
            await seat.leave()

    async def _in_context_of(self, seat: Seat, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.create_task(work, name=f"start-{seat.role}", context=seat.context.copy())

    # What the members' code asks for: the interface `Stage`.

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the members that take part."""
        return tuple(seat.role for seat in self.talk.seats)

    def send(self, sender: str, role: str, text: str) -> None:
        """Tell a member something."""
        self.talk.send(self._own(sender), role, text)

    async def ask(self, asker: str, role: str, text: str, seconds: float) -> str:
        """Return what a member answers."""
        return await self.talk.ask(self._own(asker), role, text, seconds)

    def broadcast(self, sender: str, text: str) -> None:
        """Tell all members something."""
        self.talk.tell(Line(self._own(sender).name, text), but=[self._own(sender)])

    def hand_over(self, role: str) -> None:
        """Let a member answer people."""
        self.talk.hand_over(role)

    async def give_ear(self, role: str) -> None:
        """Let a member listen to people."""
        await self.passing.give(self.talk.seat(role), "it was given the ear")

    async def add(self, member: Member) -> None:
        """Let another member join.

        Raises:
            OpenRTCError: Its role is taken, or it cannot be built. What its own code raises passes.
        """
        # The job's own participant stays, and keeps its identity, when its member has left.
        if member.role in (*self.roles, self.company.cast.ear):
            raise OpenRTCError(f"the role {member.role!r} is taken", origin="add()", fix="choose another role")
        part = part_of(member, self.runtime.catalog.agents)
        others = [one for one in self.company.parts if one.role != member.role]
        self.company = replace(self.company, parts=(*others, part))
        seat = await self._build(part)
        self.talk.join(seat)
        try:
            await self._in_context_of(seat, self.start_seat(seat, self._agents[seat.role]))
        except BaseException:
            await seat.leave()
            raise
        self.talk.tell(Line("", f"{seat.name}, the {seat.role}, has joined the call"), but=[seat])

    async def remove(self, role: str) -> None:
        """Let a member leave.

        Raises:
            OpenRTCError: No such member takes part, or it is the ear and no other member can listen.
        """
        seat = self.talk.seat(role)
        if self._is_last_to_listen(seat):
            fix = "remove another member, or end the call"
            raise OpenRTCError(f"{role!r} is the only member that can listen to people", origin="remove()", fix=fix)
        self.lose(seat, "it was removed", failed=False)

    def _own(self, role: str) -> Seat:
        if role not in self.roles:
            raise OpenRTCError(f"{role!r} does not take part yet, or any more", fix="wait for on_enter")
        return self.talk.seat(role)

    # How members are lost, and how the call ends.

    def fail(self, seat: Seat, why: str) -> None:
        """Take note that a member has failed."""
        if seat.alive and not self.over:
            self.lose(seat, why, failed=True)

    def lose(self, seat: Seat, why: str, *, failed: bool, hangs_up: bool = False) -> None:
        """Let a member leave; the call goes on without it, unless nobody is left to listen, or the cast wants it so.

        Args:
            seat: The member.
            why: Why it leaves.
            failed: Whether it has failed.
            hangs_up: Whether that ends the call in any case.
        """
        ends = hangs_up or self._is_last_to_listen(seat) or (failed and self.company.cast.on_crash == "end")
        self._tell_loss(seat.role, why, failed=failed, ends=ends)
        self.talk.leave(seat, why)
        if ends:
            self.end(f"member {seat.role!r}: {why}")
            return
        self._leaving.append(asyncio.create_task(seat.leave()))
        if seat is self.talk.ear:
            self.spawn(self.passing.pass_on(seat, f"{seat.role!r} has left"))

    def end(self, reason: str) -> None:
        """End the call."""
        if not self.over:
            self._stop()
            self.context.shutdown(reason)

    def _failed_to_enter(self, seat: Seat, error: BaseException) -> None:
        said, place = one_line(f"{type(error).__name__}: {error}"), place_of(error)
        self.live.error("agent", error, place, member=seat.role, fatal=self._is_last_to_listen(seat))
        self.fail(seat, f"failed in on_enter: {said} at {place}")

    def _model_failed(self, seat: Seat, event: ErrorEvent) -> None:
        tell_model_error(event, self.live)
        if seat is not self.talk.ear or self.over or not isinstance(event.error, STTError) or event.error.recoverable:
            return
        seat.hearing_failed = True  # the member itself can go on
        if not self._is_last_to_listen(seat):
            self.spawn(self.passing.pass_on(seat, f"the speech recognition of {seat.role!r} has failed"))
        elif not isinstance(event.error.error, APIError):  # after which livekit-agents would try again
            self.fail(seat, f"its speech recognition has failed: {one_line(str(event.error.error))}")

    def _is_last_to_listen(self, seat: Seat) -> bool:
        return seat is self.talk.ear and self.passing.heir(seat) is None

    def _nobody_listens(self) -> None:
        self.live.failed = True
        logger.error("agent %r: no member is left that can listen", self.live.agent, extra=self.live.fields)
        self.end("no member is left that can listen to people")

    def _told(self, part: Part, error: BaseException) -> str:
        said = str(error) if isinstance(error, OpenRTCError) else one_line(f"{type(error).__name__}: {error}")
        self.live.error("agent", error, "" if isinstance(error, OpenRTCError) else place_of(error), member=part.role)
        return f"could not join: {said}"

    def _could_not_join(self, part: Part, error: BaseException) -> None:
        ends = self.company.cast.on_crash == "end"
        self._tell_loss(part.role, self._told(part, error), failed=True, ends=ends)
        if ends:
            self.end(f"member {part.role!r} could not join")

    def _closed(self, seat: Seat, event: CloseEvent) -> None:
        if self.over or not seat.alive:
            return
        if event.error is not None:
            self.fail(seat, f"its session ended: {one_line(str(event.error))}")
        elif seat is self.talk.ear or not seat.in_jobs_room:
            why = f"its session ended: {event.reason.value}"
            self.lose(seat, why, failed=False, hangs_up=seat is self.talk.ear)
        else:
            self.spawn(self._closed_unless_over(seat, event))

    async def _closed_unless_over(self, seat: Seat, event: CloseEvent) -> None:
        # livekit-agents closes the session of the job's own participant first when the job ends.
        await asyncio.sleep(JOB_END_SECONDS)
        if seat.alive and not self.over:
            self.lose(seat, f"its session ended: {event.reason.value}", failed=False)

    def _tell_loss(self, role: str, why: str, *, failed: bool, ends: bool) -> None:
        goes_on = "this call is ended, the others go on" if ends else "the other members go on"
        level, fields = logging.ERROR if failed else logging.INFO, {**self.live.fields, "role": role}
        logger.log(level, "agent %r: member %r: %s; %s", self.live.agent, role, why, goes_on, extra=fields)
        self.live.events.emit(MemberLeft(**self.live.fields, member=role, reason=why, failed=failed))
        self.live.failed = self.live.failed or (failed and ends)

    def _stop(self) -> None:
        if self.over:
            return
        self.over = True
        self.talk.stop()
        self.stopped()
        if self._listening:
            self._listening.stop()
        for seat in self.talk.seats:
            if not seat.in_jobs_room:  # whose session livekit-agents closes with the job
                self._leaving.append(asyncio.create_task(seat.leave()))

    async def _aclose(self, reason: str) -> None:
        self._stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._leaving, return_exceptions=True)
