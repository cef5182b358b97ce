"""Builds an agent and its session for one call, and runs it until the call ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from livekit.agents import Agent, AgentSession, CloseEvent, ErrorEvent, JobContext

from openrtc.call import Call
from openrtc.catalog.build import build_agent
from openrtc.catalog.spec import AgentSpec
from openrtc.errors import one_line
from openrtc.worker.containment import contained_tool
from openrtc.worker.failure import first_time, place_of, report_failure
from openrtc.worker.greeting import greet, greeting_of
from openrtc.worker.hang_up import limited, until_everybody_left
from openrtc.worker.live_call import LiveCall
from openrtc.worker.runtime import HOOK_LIMIT, Runtime
from openrtc.worker.session_events import watch_turns
from openrtc.worker.session_options import build_session
from openrtc.worker.slow_answer import SlowAnswers
from openrtc.worker.speed.profile import start_options
from openrtc.worker.upstream.jobs import replace_tool_functions

logger = logging.getLogger("openrtc.worker")


async def run_session(context: JobContext, spec: AgentSpec, call: Call, runtime: Runtime) -> None:
    """Start the agent's session in the job's room; the job shuts down when the session closes.

    Args:
        context: LiveKit's context of the job.
        spec: How the agent and its session are built.
        call: The call.
        runtime: What the calls of this process share.
    """
    live = runtime.live[call.job_id]
    async with limited(call.agent_name):
        agent = await build_agent(spec, call)
    replace_tool_functions(agent, kept_in_its_call)
    watch_on_enter(agent, lambda error: _failed_to_enter(error, context, live), lambda: None)
    text_only = context.is_fake_job() and runtime.frontend is not None and runtime.frontend.text_only
    session, call, _ = await build_session(spec, agent, call, runtime, text_only=text_only)
    watch_turns(session, agent, live)
    SlowAnswers(session, live)
    session.on("error", lambda event: tell_model_error(event, live))
    session.on("close", lambda event: _end_job(event, context, live))
    end_with_hooks(context, call, runtime)
    runtime.served += 1
    if runtime.watch is not None:
        runtime.watch(call, session)
    if context.is_fake_job():
        await _run_without_room(session, agent, spec, call, runtime)
        context.shutdown("the conversation is over")
        return
    options = start_options(runtime.config.worker.profile, spec.room_options)
    await session.start(agent, room=context.room, **options)
    live.started()
    greet(session, greeting_of(spec, agent, runtime))
    await runtime.hooks.collect("openrtc_session_started", limit=HOOK_LIMIT, call=call)


async def _run_without_room(
    session: AgentSession[Any], agent: Agent, spec: AgentSpec, call: Call, runtime: Runtime
) -> None:
    frontend = runtime.frontend
    assert frontend is not None, "a job without a room needs a frontend"
    await frontend.before_start(call, session)
    await session.start(agent)
    runtime.live[call.job_id].started()
    greet(session, greeting_of(spec, agent, runtime))
    await runtime.hooks.collect("openrtc_session_started", limit=HOOK_LIMIT, call=call)
    await frontend.after_start(call, session)


def kept_in_its_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a tool's function that neither ends the worker by ``sys.exit`` nor outlives everybody in the room."""
    contained = contained_tool(function)

    async def tool(*args: Any, **kwargs: Any) -> Any:
        with until_everybody_left("a tool"):
            return await contained(*args, **kwargs)

    return tool


def watch_on_enter(agent: Agent, failed: Callable[[BaseException], None], ended: Callable[[], None]) -> None:
    """Watch the agent's ``on_enter``: livekit-agents only logs what it raises, and the agent stays and says nothing.

    Args:
        agent: The agent.
        failed: Told what it raises.
        ended: Called when it has ended, well or not.
    """
    enter = agent.on_enter

    async def on_enter() -> None:
        try:
            with until_everybody_left("on_enter"):
                await enter()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failed(error)
        finally:
            ended()

    agent.on_enter = on_enter  # type: ignore[method-assign]


def _failed_to_enter(error: BaseException, context: JobContext, live: LiveCall) -> None:
    report_failure(live, error, "failed in on_enter")
    context.shutdown("the agent failed in on_enter")


def tell_model_error(event: ErrorEvent, live: LiveCall) -> None:
    """Tell once, in one line, that a model of a session has failed."""
    kind = str(getattr(event.error, "type", "session")).removesuffix("_error")
    error = getattr(event.error, "error", None)
    if isinstance(error, BaseException) and first_time(error):
        place = place_of(error)
        live.error(kind, error, place)
        level = logging.WARNING if getattr(event.error, "recoverable", False) else logging.ERROR
        said = one_line(f"{type(error).__name__}: {error}")
        logger.log(level, "agent %r: its %s failed: %s at %s", live.agent, kind, said, place)
        logger.debug("agent %r: its %s failed", live.agent, kind, exc_info=error)


def _end_job(event: CloseEvent, context: JobContext, live: LiveCall) -> None:
    # The job would otherwise live on until the server's departure timeout.
    if event.error is not None:
        live.failed = True
        logger.error("agent %r: the session ended: %s", live.agent, one_line(str(event.error)))
    context.shutdown(event.reason.value)


def end_with_hooks(context: JobContext, call: Call, runtime: Runtime) -> None:
    """Let the plugins' ``openrtc_session_ended`` run when the call has ended."""

    async def ended(reason: str) -> None:
        await runtime.hooks.collect("openrtc_session_ended", limit=HOOK_LIMIT, call=call, reason=reason)

    context.add_shutdown_callback(ended)
