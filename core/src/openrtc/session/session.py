"""Builds an agent and its session for one call, and runs it until the call ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from operator import methodcaller
from typing import Any

from livekit.agents import Agent, AgentSession, CloseEvent, ErrorEvent, JobContext

from openrtc.errors import one_line, summarize_error
from openrtc.model.agents import AgentSpec
from openrtc.model.call import Call
from openrtc.model.dispatch_names import is_held_in_text
from openrtc.runtime.live_call import LiveCall
from openrtc.runtime.live_session import LiveSession
from openrtc.runtime.providers import MODEL_KINDS
from openrtc.runtime.runtime import HOOK_LIMIT, Runtime
from openrtc.session.attendance import Attendance, EntrypointSlot, Limits
from openrtc.session.attended_session import AttendedSession, build_caller_filter, stay_when_callers_leave
from openrtc.session.build import build_agent
from openrtc.session.cleanup import limit_build_time
from openrtc.session.default_models import give_default_models
from openrtc.session.ending import find_ending
from openrtc.session.entrypoint_sessions import guard_sessions_of
from openrtc.session.failure import find_failing_line, mark_reported, report_failure
from openrtc.session.greeting import choose_greeting, greet
from openrtc.session.guards import guard_agents, hold_handoffs
from openrtc.session.hang_up import close_promptly, find_hang_up, limit_close
from openrtc.session.ledger import keep_ledger
from openrtc.session.models import explain_missing_key, require_served, use_stand_in
from openrtc.session.observers import tell_observers_of_start
from openrtc.session.options import build_session
from openrtc.session.own_options import settle_options
from openrtc.session.participant import wait_for_person
from openrtc.session.profile import build_start_options, without_sound
from openrtc.session.room_connect import leave_promptly
from openrtc.session.session_host import SessionDoor
from openrtc.session.slow_answer import watch_slow_answers
from openrtc.session.turns import watch_turns
from openrtc.session.unheard import end_when_unheard
from openrtc.upstream.handoffs import is_closing

logger = logging.getLogger("openrtc.worker")

SESSION_HOOK_SECONDS = 2.0
"""What an async ``openrtc_session`` has, since the caller waits for the session."""

_running_hooks: set[asyncio.Task[Any]] = set()
"""The loop itself would not keep them from being collected."""


async def run_session(context: JobContext, spec: AgentSpec, call: Call, runtime: Runtime) -> None:
    """Start the agent's session in the job's room; the job shuts down when the session closes.

    Args:
        context: LiveKit's context of the job.
        spec: How the agent and its session are built.
        call: The call.
        runtime: What the calls of this process share.
    """
    live = runtime.live[call.job_id]
    spec = await settle_options(spec, call)
    attendance = _watch_attendance(context, spec, live, runtime)
    async with limit_build_time(call.agent_name):
        with explain_missing_key(runtime.find_lacks(call.agent_name)):
            agent = await build_agent(spec, call)
    # A fake job has no room: the console or the demo stands in its place.
    frontend = runtime.frontend if context.is_fake_job() else None
    in_text = is_held_in_text(call.request.attributes)
    text_only = in_text or (frontend is not None and frontend.text_only)
    session, call, _ = await build_session(spec, agent, call, runtime, text_only=text_only)
    ending = find_ending(call.job_id)
    if ending:
        ending.note_session(session)
    guard_session(session, agent, context, live, runtime)
    if attendance:
        attendance.attend(AttendedSession(session, context, attendance.hang_up))
    watch_turns(session, agent, live)
    keep_ledger(session, live)
    watch_slow_answers(session, live)
    end_when_unheard(session, context, live)
    session.on("close", lambda event: _end_job(event, context, live))
    run_ended_hooks_at_shutdown(context, call, runtime)
    runtime.served += 1
    find_spec = methodcaller("find_spec", call.agent_name)
    held = LiveSession(session=session, agent=agent, spec=spec, call=call, find_spec=find_spec)
    runtime.note_session(live, held)
    if runtime.watch is not None:
        runtime.watch(call, session)

    async def start(door: SessionDoor | None = None, **options: Any) -> None:
        await run_session_hooks(session, call, runtime)
        with hold_handoffs(session):
            await session.start(agent, **options)
        if door:
            await door.open()
        live.emit_started()
        if ending:
            ending.clock.start()
        await tell_observers_of_start(call, session)
        greet(session, choose_greeting(spec, agent, runtime))
        live.listen()
        await runtime.hooks.collect("openrtc_session_started", limit=HOOK_LIMIT, call=call)

    if context.is_fake_job():
        assert frontend is not None, "a job without a room needs a frontend"
        await frontend.before_start(call, session)
        await start()
        await frontend.after_start(call, session)
        context.shutdown("the conversation is over")
    else:
        room_options = stay_when_callers_leave(without_sound(spec.room_options) if in_text else spec.room_options)
        if in_text:
            await context.connect()
            await wait_for_person(context.room)
        door = SessionDoor(session, context.room, runtime.config.worker)
        options = build_start_options(runtime.config.worker.profile, room_options)
        await start(door, room=context.room, **options | door.start_options)


def _watch_attendance(context: JobContext, spec: AgentSpec, live: LiveCall, runtime: Runtime) -> Attendance | None:
    hang_up = find_hang_up(context)
    if hang_up is None:  # nobody can leave where there is no room
        return None
    limits = Limits.of(context.job.room, spec, runtime.config.worker)
    return Attendance(context.room, live, hang_up, limits, build_caller_filter(spec.room_options))


def guard_session(
    session: AgentSession[Any], agent: Agent, context: JobContext, live: LiveCall, runtime: Runtime
) -> None:
    """End the call when an agent of a session fails to enter, and limit what its code does when everybody has left.

    Args:
        session: A session in the job's room, before it starts.
        agent: The agent that it starts with.
        context: LiveKit's context of the job.
        live: The call.
        runtime: What the calls of this process share.
    """
    guard_agents(
        session,
        agent,
        lambda what, error: _end_failed(what, error, session, context, live, runtime),
        prepare=choose_stand_in(session, runtime),
    )
    limit_close(session, context, live)
    if hang_up := find_hang_up(context):
        hang_up.call_when_overdue(lambda: _end_overdue(session, context))
    session.on("error", lambda event: report_model_error(event, live))


def choose_stand_in(session: AgentSession[Any], runtime: Runtime) -> Callable[[Agent], None]:
    """Return what lets each agent of a session use its model in a rehearsal, and does nothing in any other call."""
    if runtime.stand_in is None:
        return lambda _: None
    return lambda agent: use_stand_in(agent, session.llm)


def watch_own_sessions(context: JobContext, call: Call, runtime: Runtime, slot: EntrypointSlot | None = None) -> None:
    """Let the sessions that an entrypoint makes in the job's room be guarded, and be seen as those of other agents.

    Args:
        context: LiveKit's context of the job.
        call: The call.
        runtime: What the calls of this process share.
        slot: The slot that the job holds, if it holds one.
    """
    live = runtime.live[call.job_id]
    in_text = is_held_in_text(call.request.attributes)

    def watch(session: AgentSession[Any], agent: Agent) -> None:
        if spec := runtime.catalog.get(call.agent_name).spec:
            give_default_models(session, agent, spec, runtime)
        named: dict[str, Any] = {kind: getattr(session, kind) for kind in MODEL_KINDS}
        require_served(agent, named, runtime.find_lacks(call.agent_name))
        if in_text:  # its entrypoint chooses the room options
            session.input.set_audio_enabled(False)
            session.output.set_audio_enabled(False)
        if slot:
            slot.note_session(session)
            session.on("close", lambda _: slot.note_close(session))
        if ending := find_ending(call.job_id):
            ending.note_session(session)
        guard_session(session, agent, context, live, runtime)
        watch_turns(session, agent, live)
        keep_ledger(session, live)
        watch_slow_answers(session, live)
        if runtime.watch is not None:
            runtime.watch(call, session)

    async def run_started_hooks(session: AgentSession[Any]) -> None:
        await tell_observers_of_start(call, session)
        await runtime.hooks.collect("openrtc_session_started", limit=HOOK_LIMIT, call=call)

    def begin_started_hooks(session: AgentSession[Any]) -> None:
        # Not awaited: the entrypoint goes on when its session has started, mostly with a greeting.
        running = asyncio.create_task(run_started_hooks(session), name="session-started-hooks")
        _running_hooks.add(running)
        running.add_done_callback(_running_hooks.discard)

    async def prepare(session: AgentSession[Any]) -> None:
        await run_session_hooks(session, call, runtime)
        if in_text and context.room.isconnected():
            await wait_for_person(context.room)

    guard_sessions_of(
        context,
        watch,
        prepare,
        build_door=lambda session: SessionDoor(session, context.room, runtime.config.worker),
        started=begin_started_hooks,
    )
    run_ended_hooks_at_shutdown(context, call, runtime)


async def run_session_hooks(session: AgentSession[Any], call: Call, runtime: Runtime) -> None:
    """Give a session to the plugins before it starts."""
    await runtime.hooks.collect_on_loop("openrtc_session", limit=SESSION_HOOK_SECONDS, call=call, session=session)


def report_model_error(event: ErrorEvent, live: LiveCall) -> None:
    """Report once, in one line, that a model of a session has failed."""
    kind = str(getattr(event.error, "type", "session")).removesuffix("_error")
    error = getattr(event.error, "error", None)
    # livekit-agents also logs it; see `mark_reported`.
    if isinstance(error, BaseException) and mark_reported(error):
        place = find_failing_line(error)
        live.emit_error(kind, error, place)
        level = logging.WARNING if getattr(event.error, "recoverable", False) else logging.ERROR
        logger.log(level, "agent %r: its %s failed: %s at %s", live.agent, kind, summarize_error(error), place)
        logger.debug("agent %r: its %s failed", live.agent, kind, exc_info=error)


def run_ended_hooks_at_shutdown(context: JobContext, call: Call, runtime: Runtime) -> None:
    """Let the plugins' ``openrtc_session_ended`` run when the call has ended."""
    ran = asyncio.Event()
    runtime.live[call.job_id].awaited.append(ran)

    async def run_hooks(reason: str) -> None:
        try:
            await runtime.hooks.collect("openrtc_session_ended", limit=HOOK_LIMIT, call=call, reason=reason)
        finally:
            ran.set()

    context.add_shutdown_callback(run_hooks)


def _end_failed(
    what: str, error: BaseException, session: AgentSession[Any], context: JobContext, live: LiveCall, runtime: Runtime
) -> None:
    # Most agents greet in on_enter: a caller would wait for one that never speaks.
    report_failure(live, error, what)
    close_promptly(session)
    leave_promptly(
        context.room,
        context,
        runtime.config.worker,
        lambda: context.shutdown(f"the agent {what}"),
        speaks=session.output.audio is not None,
    )


def _end_overdue(session: AgentSession[Any], context: JobContext) -> None:
    # A session that closes tells so at the end: one whose closing hangs would keep its slot until the server closes
    # the room. One that does not close waits for its caller to come back.
    if is_closing(session):
        context.shutdown("everybody has left")


def _end_job(event: CloseEvent, context: JobContext, live: LiveCall) -> None:
    # The job would otherwise live on until the server's departure timeout.
    if event.error is not None:
        live.failed = True
        logger.error("agent %r: the session ended: %s", live.agent, one_line(str(event.error)))
    context.shutdown(event.reason.value)
