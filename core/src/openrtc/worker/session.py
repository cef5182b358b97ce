"""Builds an agent and its session for one call, and runs it until the call ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from livekit.agents import Agent, AgentSession, CloseEvent, JobContext
from livekit.agents.utils import is_given

from openrtc.call import Call
from openrtc.catalog.build import build_agent
from openrtc.catalog.spec import AgentSpec
from openrtc.errors import one_line
from openrtc.providers.provider import ProviderContext
from openrtc.providers.providers import MODEL_KINDS
from openrtc.worker.failure import report_failure
from openrtc.worker.models import build_models, choose_models, is_realtime, label_models
from openrtc.worker.runtime import Runtime

logger = logging.getLogger("openrtc.worker")

HOOK_LIMIT = 10.0
"""Seconds that each session hook has."""


async def run_session(context: JobContext, spec: AgentSpec, call: Call, runtime: Runtime) -> None:
    """Start the agent's session in the job's room; the job shuts down when the session closes.

    Args:
        context: LiveKit's context of the job.
        spec: How the agent and its session are built.
        call: The call.
        runtime: What the calls of this process share.
    """
    agent = await build_agent(spec, call)
    _watch_on_enter(agent, context, call)
    text_only = context.is_fake_job() and runtime.frontend is not None and runtime.frontend.text_only
    session, call = await _build_session(spec, agent, call, runtime, text_only=text_only)
    session.on("close", lambda event: _end_job(event, context, call))
    _end_with_hooks(context, call, runtime)
    runtime.served += 1
    if runtime.watch is not None:
        runtime.watch(call, session)
    if context.is_fake_job():
        await _run_without_room(session, agent, spec, call, runtime)
        context.shutdown("the conversation is over")
        return
    options = {} if spec.room_options is None else {"room_options": spec.room_options}
    await session.start(agent, room=context.room, **options)
    _greet(session, agent, spec, runtime)
    await runtime.hooks.call_all("openrtc_session_started", limit=HOOK_LIMIT, call=call)


async def _run_without_room(
    session: AgentSession[Any], agent: Agent, spec: AgentSpec, call: Call, runtime: Runtime
) -> None:
    frontend = runtime.frontend
    assert frontend is not None, "a job without a room needs a frontend"
    await frontend.before_start(call, session)
    await session.start(agent)
    _greet(session, agent, spec, runtime)
    await runtime.hooks.call_all("openrtc_session_started", limit=HOOK_LIMIT, call=call)
    await frontend.after_start(call, session)


async def _build_session(
    spec: AgentSpec, agent: Agent, call: Call, runtime: Runtime, *, text_only: bool
) -> tuple[AgentSession[Any], Call]:
    chosen = choose_models(spec, agent, runtime.config.defaults)
    if text_only:  # the keys of the others need not be there
        chosen = {kind: model for kind, model in chosen.items() if kind == "llm"}
    call = replace(call, models=label_models(chosen, agent))
    if not text_only:
        _warn_of_missing_models(call, agent, chosen)
    context = ProviderContext(agent_name=call.agent_name, agent=agent, examples=spec.examples)
    models = build_models(chosen, runtime.providers, context)
    contributed = await _contributed_options(call, runtime)
    own = {key: value for key, value in spec.session_options.items() if key not in MODEL_KINDS}
    options: dict[str, Any] = {**contributed, **own, **models}
    turn: dict[str, Any] = {**contributed.get("turn_handling", {}), **own.get("turn_handling", {})}
    if turn:
        options["turn_handling"] = turn
    if text_only:
        options["vad"] = None
        options["turn_handling"] = {**turn, "turn_detection": "manual"}
    else:
        _use_detectors(options, spec, runtime, realtime=is_realtime(models.get("llm")))
    return AgentSession(**options), call


async def _contributed_options(call: Call, runtime: Runtime) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for outcome in await runtime.hooks.call_all("openrtc_session_options", limit=HOOK_LIMIT, call=call):
        plugin = outcome.implementation.plugin
        if outcome.error is not None:
            said = one_line(f"{type(outcome.error).__name__}: {outcome.error}")
            logger.error("%s: openrtc_session_options failed: %s", plugin, said)
        elif outcome.value is not None and not isinstance(outcome.value, Mapping):
            logger.error("%s: openrtc_session_options returned %r, not a mapping", plugin, outcome.value)
        for key, value in (outcome.value or {}).items() if isinstance(outcome.value, Mapping) else ():
            if key in owners:
                logger.warning("session option %r comes from %s; that of %s is ignored", key, owners[key], plugin)
                continue
            merged[key], owners[key] = value, plugin
    return merged


def _use_detectors(options: dict[str, Any], spec: AgentSpec, runtime: Runtime, *, realtime: bool) -> None:
    defaults = runtime.config.defaults
    vad = _first(spec.vad, defaults.vad, runtime.resources.get("vad"))
    if vad is not None and "vad" not in options:
        options["vad"] = _fresh(vad)
    turn = options.get("turn_handling", {})
    detection = spec.turn_detection
    if detection is None and "turn_detection" not in turn and not realtime:
        detection = _first(defaults.turn_detection, runtime.resources.get("turn_detection"))
    if detection is not None:
        options["turn_handling"] = {**turn, "turn_detection": _fresh(detection)}


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _fresh(value: Any) -> Any:
    return value() if callable(value) else value


def _greet(session: AgentSession[Any], agent: Agent, spec: AgentSpec, runtime: Runtime) -> None:
    greets_itself = type(agent).on_enter is not Agent.on_enter
    greeting = spec.greeting or ("" if greets_itself else runtime.config.defaults.greeting)
    if not greeting:
        return
    if is_realtime(agent.llm if is_given(agent.llm) else session.llm):
        session.generate_reply(instructions=f"Greet the caller with these words: {greeting}")
    elif _has_voice(session, agent):
        session.say(greeting)


def _has_voice(session: AgentSession[Any], agent: Agent) -> bool:
    # Without audio output the words go out as text; with it they need a voice, whose lack has been told already.
    speaks_aloud = session.output.audio is not None and session.output.audio_enabled
    return not speaks_aloud or bool(agent.tts if is_given(agent.tts) else session.tts)


def _warn_of_missing_models(call: Call, agent: Agent, chosen: Mapping[Any, Any]) -> None:
    if is_realtime(chosen.get("llm") or agent.llm):
        return
    missing = [kind for kind in MODEL_KINDS if not call.models[kind]]
    if missing:
        logger.warning(
            "agent %r has no %s: set it in the agent or under [defaults] in openrtc.toml, or run with --offline",
            call.agent_name,
            " and no ".join(missing),
        )


def _watch_on_enter(agent: Agent, context: JobContext, call: Call) -> None:
    # livekit-agents only logs what on_enter raises, and the agent stays in the room and says nothing.
    enter = agent.on_enter

    async def on_enter() -> None:
        try:
            await enter()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            report_failure(call, error, "failed in on_enter")
            context.shutdown("the agent failed in on_enter")

    agent.on_enter = on_enter  # type: ignore[method-assign]


def _end_job(event: CloseEvent, context: JobContext, call: Call) -> None:
    # The job would otherwise live on until the server's departure timeout.
    if event.error is not None:
        logger.error("agent %r: the session ended: %s", call.agent_name, one_line(str(event.error)))
    context.shutdown(event.reason.value)


def _end_with_hooks(context: JobContext, call: Call, runtime: Runtime) -> None:
    async def ended(reason: str) -> None:
        for outcome in await runtime.hooks.call_all(
            "openrtc_session_ended", limit=HOOK_LIMIT, call=call, reason=reason
        ):
            if outcome.error is not None:
                said = one_line(f"{type(outcome.error).__name__}: {outcome.error}")
                logger.error("%s: openrtc_session_ended failed: %s", outcome.implementation.plugin, said)

    context.add_shutdown_callback(ended)
