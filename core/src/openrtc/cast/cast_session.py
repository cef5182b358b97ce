"""`CastSession`: the members of one call: how they are built, what their code asks for, and how they are lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from livekit.agents import APIError, CloseEvent, ErrorEvent, JobContext
from livekit.agents.stt import STTError

from openrtc.cast.build_member import add_house_rules, build_member_session
from openrtc.cast.ear_handover import EarHandover
from openrtc.cast.listening import Listening
from openrtc.cast.member_session import MemberSession
from openrtc.cast.turn import HeardLine
from openrtc.cast.turn_manager import TurnManager
from openrtc.catalog.catalog import Catalog
from openrtc.catalog.resolved_cast import ResolvedCast, ResolvedMember, resolve_member
from openrtc.errors import OpenRTCError, one_line, summarize_error
from openrtc.model.agents import AgentSpec, Member
from openrtc.model.call import Call
from openrtc.model.cast_member import CastMember
from openrtc.observe.events import MemberLeft
from openrtc.runtime.live_call import LiveCall
from openrtc.runtime.live_session import LiveSession
from openrtc.runtime.runtime import HOOK_LIMIT, Runtime
from openrtc.session.ending import find_ending
from openrtc.session.failure import find_failing_line
from openrtc.session.guards import guard_agents
from openrtc.session.hang_up import close_promptly, limit_close
from openrtc.session.ledger import keep_ledger
from openrtc.session.observers import tell_observers_of_start
from openrtc.session.room_connect import leave_promptly
from openrtc.session.session import choose_stand_in, report_model_error, run_ended_hooks_at_shutdown, run_session_hooks
from openrtc.session.unheard import go_on_when_unheard

logger = logging.getLogger("openrtc.cast")

JOB_END_SECONDS = 0.5
"""How long after its session the job may end, for the end of that session to count as the end of the call."""

T = TypeVar("T")


class CastSession:
    """The members of one call; what all of them need, wherever they talk.

    Args:
        context: LiveKit's context of the job.
        resolved_cast: The cast.
        call: The call.
        runtime: What the calls of this process share.
    """

    text_only = False

    def __init__(self, context: JobContext, resolved_cast: ResolvedCast, call: Call, runtime: Runtime) -> None:
        self.context = context
        self.resolved_cast = resolved_cast
        self.call = call
        self.runtime = runtime
        self.live: LiveCall = runtime.live[call.job_id]
        self.turns = TurnManager(resolved_cast.cast, self.live, self.fail_member, self.is_empty)
        self.over = False
        self.listening = Listening(self.turns)
        lead = resolved_cast.cast.lead
        self.ear_handover = EarHandover(self, self.turns, self.listening, self.live, lead, self._on_ear_lost)
        self._leaving: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    # What differs by where the cast talks; the last three are the interface `EarControls`.

    def is_empty(self) -> bool:
        """Whether no person is there."""
        return False

    async def start_member(self, member: MemberSession) -> None:
        """Bring a member in, and start its session."""
        raise NotImplementedError

    def on_end(self) -> None:
        """Stop what else goes on: the call is over."""

    async def prepare_to_listen(self, member: MemberSession) -> None:
        """Let a person's sound reach a member that listens to nobody yet."""

    def start_listening(self, member: MemberSession) -> None:
        """Let a member that is prepared hear people."""

    def stop_listening(self, member: MemberSession) -> None:
        """Let a member hear no more people."""

    # How it begins.

    async def start_members(self) -> None:
        """Build all members, then start them, the ear first; whoever fails is left out or ends the call.

        All are built before one starts, so that what one says in ``on_enter`` finds the others. The floor is closed
        until all have started: nobody misses the opening.
        """
        self.context.add_shutdown_callback(self._aclose)
        if ending := find_ending(self.call.job_id):
            lead = next(one for one in self.resolved_cast.members if one.role == self.resolved_cast.cast.lead)
            ending.leave_to(self._say_goodbye, self.end, lead.spec.goodbye)
        run_ended_hooks_at_shutdown(self.context, self.call, self.runtime)
        self.runtime.served += 1
        built = await asyncio.gather(*(self._build_or_leave_out(one) for one in self.resolved_cast.members))
        members = [member for member in built if member is not None]
        for member in members:
            self.turns.add(member)
        self.listening.start()
        ear = self.turns.ear
        await self._start(ear)
        await asyncio.gather(*(self._start_or_leave_out(member) for member in members if member is not ear))

    async def report_started(self) -> None:
        """Emit that the call has begun, and call the plugins' hooks."""
        self.live.emit_started()
        self.live.listen()
        if ending := find_ending(self.call.job_id):
            ending.clock.start(waits=self.resolved_cast.cast.ends != "never")
        await tell_observers_of_start(self.call, self.turns.front.session)
        await self.runtime.hooks.collect("openrtc_session_started", limit=HOOK_LIMIT, call=self.call)

    def run_in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something until the call is over."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _build_or_leave_out(self, resolved: ResolvedMember) -> MemberSession | None:
        try:
            return await self._build(resolved)
        except (Exception, SystemExit) as error:  # whatever the package's code raises must not end the others' call
            if resolved.role == self.resolved_cast.cast.ear:
                raise
            ends = self.resolved_cast.cast.on_crash == "end"
            self._report_loss(resolved.role, self._emit_join_error(resolved.role, error), failed=True, ends=ends)
            if ends:
                self.end(f"member {resolved.role!r} could not join")
            return None

    async def _build(self, resolved: ResolvedMember) -> MemberSession:
        # A task has a context of its own: what is made in it counts as this member's code.
        building = build_member_session(
            resolved,
            CastMember(resolved.role, self),
            self.resolved_cast,
            self.call,
            self.runtime,
            text_only=self.text_only,
        )
        member = await asyncio.create_task(building, name=f"build-{resolved.role}")
        guard_agents(
            member.session,
            member.agent,
            partial(self._on_agent_failed, member),
            member.entered.set,
            choose_stand_in(member.session, self.runtime),
        )
        limit_close(member.session, self.context, self.live)
        go_on_when_unheard(member.session, self.live)
        if ending := find_ending(self.call.job_id):
            ending.clock.hear(member.session, lambda: member.listens)
        keep_ledger(member.session, self.live, member.role)
        self.runtime.note_session(
            self.live,
            LiveSession(
                session=member.session,
                agent=member.agent,
                spec=member.resolved.spec,
                call=replace(
                    self.call, agent_name=member.resolved.spec.name, cast_member=CastMember(member.role, self)
                ),
                find_spec=partial(self._find_spec, member.role),
                role=member.role,
                amend=lambda agent: add_house_rules(agent, resolved, self.resolved_cast),
                is_idle=lambda: self.turns.floor.at_rest,
                context=member.context,
            ),
        )
        member.session.on("error", partial(self._on_model_error, member))
        member.session.on("close", lambda event: self._on_session_closed(member, event))
        return member

    def _find_spec(self, role: str, catalog: Catalog) -> AgentSpec | None:
        """Return how a member's agent is built; None where the cast has no such member, or cannot be used."""
        try:
            cast = catalog.resolve_cast(self.call.decision.agents)
        except OpenRTCError:
            return None
        return next((one.spec for one in (cast.members if cast else ()) if one.role == role), None)

    async def _start_or_leave_out(self, member: MemberSession) -> None:
        try:
            await self._start(member)
        except (Exception, SystemExit) as error:  # see `_build_or_leave_out`
            if not self.over and member.alive:
                self.drop_member(member, self._emit_join_error(member.role, error), failed=True)
        if self.over or not member.alive:
            await member.leave()

    async def _start(self, member: MemberSession) -> None:
        await asyncio.create_task(
            self._prepare_and_start(member), name=f"start-{member.role}", context=member.context.copy()
        )

    async def _prepare_and_start(self, member: MemberSession) -> None:
        call = replace(self.call, cast_member=CastMember(member.role, self))
        await run_session_hooks(member.session, call, self.runtime)
        await self.start_member(member)

    # What the members' code asks for: the interface `RunningCast`.

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the members that take part."""
        return tuple(member.role for member in self.turns.members)

    def send(self, sender: str, role: str, text: str) -> None:
        """Let a member hear something, to which it replies aloud."""
        self.turns.send(self._find_sender(sender), role, text)

    async def ask(self, asker: str, role: str, text: str, seconds: float) -> str:
        """Return what a member answers."""
        return await self.turns.ask(self._find_sender(asker), role, text, seconds)

    def broadcast(self, sender: str, text: str) -> None:
        """Let all other members hear something."""
        member = self._find_sender(sender)
        self.turns.broadcast(HeardLine(member.name, text), but=[member])

    def hand_over(self, role: str) -> None:
        """Let a member answer people."""
        self.turns.hand_over(role)

    async def give_ear(self, role: str) -> None:
        """Let a member listen to people."""
        await self.ear_handover.give(self.turns.find_member(role), "it was given the ear")

    async def add(self, declared: Member) -> None:
        """Let another member join.

        Raises:
            OpenRTCError: Its role is taken, or it cannot be built. What its own code raises passes.
        """
        # The job's own participant stays, and keeps its identity, when its member has left.
        if declared.role in (*self.roles, self.resolved_cast.cast.ear):
            raise OpenRTCError(f"the role {declared.role!r} is taken", origin="add()", fix="choose another role")
        resolved = resolve_member(declared, self.runtime.catalog.agents)
        others = [one for one in self.resolved_cast.members if one.role != declared.role]
        self.resolved_cast = replace(self.resolved_cast, members=(*others, resolved))
        member = await self._build(resolved)
        self.turns.add(member)
        try:
            await self._start(member)
        except BaseException:  # also a tool that is cancelled while it adds: no silent participant may stay behind
            await member.leave()
            raise
        self.turns.broadcast(HeardLine("", f"{member.name}, the {member.role}, has joined the call"), but=[member])

    async def remove(self, role: str) -> None:
        """Let a member leave.

        Raises:
            OpenRTCError: No such member takes part, or it is the ear and no other member can listen.
        """
        member = self.turns.find_member(role)
        if self._is_last_to_listen(member):
            fix = "remove another member, or end the call"
            raise OpenRTCError(f"{role!r} is the only member that can listen to people", origin="remove()", fix=fix)
        self.drop_member(member, "it was removed", failed=False)

    def _find_sender(self, role: str) -> MemberSession:
        if role not in self.roles:
            raise OpenRTCError(f"{role!r} does not take part yet, or any more", fix="wait for on_enter")
        return self.turns.find_member(role)

    # How members are lost, and how the call ends.

    def fail_member(self, member: MemberSession, why: str) -> None:
        """Drop a member that has failed, unless it has left already or the call is over."""
        if member.alive and not self.over:
            self.drop_member(member, why, failed=True)

    def drop_member(self, member: MemberSession, why: str, *, failed: bool, hangs_up: bool = False) -> None:
        """Let a member leave; the call goes on without it, unless nobody is left to listen, or the cast wants it so.

        Args:
            member: The member.
            why: Why it leaves.
            failed: Whether it has failed.
            hangs_up: Whether that ends the call in any case.
        """
        ends = hangs_up or self._is_last_to_listen(member) or (failed and self.resolved_cast.cast.on_crash == "end")
        self._report_loss(member.role, why, failed=failed, ends=ends)
        self.turns.remove(member, why)
        if ends:
            what, _, _ = why.partition(": ")  # the text of an error follows, which the log has
            self.end(f"member {member.role!r}: {what}")
            return
        self._leaving.append(asyncio.create_task(member.leave()))
        if member is self.turns.ear:
            self._replace_ear(member, f"{member.role!r} has left")

    def end(self, reason: str) -> None:
        """End the call."""
        if not self.over:
            self._stop()
            self.context.shutdown(reason)

    async def _say_goodbye(self, words: str) -> None:
        self.listening.stop()
        await self.turns.say_goodbye(words)

    def _on_agent_failed(self, member: MemberSession, what: str, error: BaseException) -> None:
        place = find_failing_line(error)
        self.live.emit_error("agent", error, place, member=member.role, fatal=self._is_last_to_listen(member))
        close_promptly(member.session)
        why, worker = f"{what}: {summarize_error(error)} at {place}", self.runtime.config.worker
        if member.room is None or member.in_jobs_room:  # which stays in the room until the call is over
            self.fail_member(member, why)
        else:
            fail = partial(self.fail_member, member, why)
            leave_promptly(member.room, self.context, worker, fail, speaks=member.session.output.audio is not None)

    def _on_model_error(self, member: MemberSession, event: ErrorEvent) -> None:
        report_model_error(event, self.live)
        error = event.error
        if member is not self.turns.ear or self.over or not isinstance(error, STTError) or error.recoverable:
            return
        member.hearing_failed = True  # the member itself can go on
        if not self._is_last_to_listen(member):
            self._replace_ear(member, f"the speech recognition of {member.role!r} has failed")
        elif not isinstance(error.error, APIError):  # after which livekit-agents would try again
            self.fail_member(member, f"its speech recognition has failed: {one_line(str(error.error))}")

    def _on_session_closed(self, member: MemberSession, event: CloseEvent) -> None:
        if self.over or not member.alive:
            return
        why = f"its session ended: {event.reason.value}"
        is_ear = member is self.turns.ear
        if event.error is not None:
            self.fail_member(member, f"its session ended: {one_line(str(event.error))}")
        elif is_ear or not member.in_jobs_room:
            self.drop_member(member, why, failed=False, hangs_up=is_ear)
        else:
            self.run_in_background(self._drop_unless_over(member, why))

    async def _drop_unless_over(self, member: MemberSession, why: str) -> None:
        # When the job ends, livekit-agents first closes the session of the job's own participant. Without the wait,
        # its member (which was the ear) would be reported as having left.
        await asyncio.sleep(JOB_END_SECONDS)
        if member.alive and not self.over:
            self.drop_member(member, why, failed=False)

    def _replace_ear(self, lost: MemberSession, reason: str) -> None:
        self.run_in_background(self.ear_handover.replace_lost(lost, reason))

    def _is_last_to_listen(self, member: MemberSession) -> bool:
        return member is self.turns.ear and self.ear_handover.find_successor(member) is None

    def _on_ear_lost(self) -> None:
        self.live.failed = True
        logger.error("agent %r: no member is left that can listen", self.live.agent, extra=self.live.fields)
        self.end("no member is left that can listen to people")

    def _emit_join_error(self, role: str, error: BaseException) -> str:
        """Emit why a member could not join; return it in one line."""
        explained = isinstance(error, OpenRTCError)  # it says what is wrong itself, without a place in the code
        self.live.emit_error("agent", error, "" if explained else find_failing_line(error), member=role)
        return f"could not join: {summarize_error(error)}"

    def _report_loss(self, role: str, why: str, *, failed: bool, ends: bool) -> None:
        goes_on = "this call is ended, the others go on" if ends else "the other members go on"
        level, fields = logging.ERROR if failed else logging.INFO, {**self.live.fields, "role": role}
        logger.log(level, "agent %r: member %r: %s; %s", self.live.agent, role, why, goes_on, extra=fields)
        self.live.events.emit(MemberLeft(**self.live.fields, member=role, reason=why, failed=failed))
        self.live.failed = self.live.failed or (failed and ends)

    def _stop(self) -> None:
        if self.over:
            return
        self.over = True
        self.turns.stop()
        self.on_end()
        self.listening.stop()
        for member in self.turns.members:
            if not member.in_jobs_room:  # whose session livekit-agents closes with the job
                self._leaving.append(asyncio.create_task(member.leave()))

    async def _aclose(self, reason: str) -> None:
        self._stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._leaving, return_exceptions=True)
