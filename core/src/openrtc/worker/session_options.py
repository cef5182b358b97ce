"""Builds the session of a call: its models, and its options from the agent, the settings and the plugins."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from livekit.agents import Agent, AgentSession
from livekit.agents.utils import is_given

from openrtc.call import Call
from openrtc.catalog.spec import AgentSpec
from openrtc.providers.provider import ProviderContext
from openrtc.providers.providers import MODEL_KINDS, ModelKind
from openrtc.worker.ears import MANUAL, Ears
from openrtc.worker.models import build_models, choose_models, is_realtime, label_models
from openrtc.worker.runtime import HOOK_LIMIT, Runtime

logger = logging.getLogger("openrtc.worker")


Hearing = Literal["caller", "people", "members", "nobody"]
"""Whom a session listens to: the caller of a single agent; in a cast people, the other members, or nobody."""


async def build_session(
    spec: AgentSpec, agent: Agent, call: Call, runtime: Runtime, *, text_only: bool, hearing: Hearing = "caller"
) -> tuple[AgentSession[Any], Call, Ears | None]:
    """Build the session of a call from what the agent, the settings and the plugins say, in falling order of weight.

    Args:
        spec: How the agent and its session are built.
        agent: The agent of this session.
        call: The call.
        runtime: What the calls of this process share.
        text_only: Whether the conversation is held in text, so that only the language model is needed.
        hearing: Whom the session listens to.

    Returns:
        The session; the call with its models filled in; and what the session can hear people with, in a cast. A
        session that listens to nobody has nothing of that yet: it costs nothing until it is used.

    Raises:
        OpenRTCError: A model cannot be used here.
    """
    chosen = choose_models(spec, agent, runtime.config.defaults)
    if text_only:  # the keys of the others need not be there
        chosen = {kind: model for kind, model in chosen.items() if kind == "llm"}
    context = ProviderContext(agent_name=call.agent_name, agent=agent, examples=spec.examples)
    unused = chosen.pop("stt", None) if hearing == "nobody" else None
    call = replace(call, models=label_models(chosen, agent))
    models = build_models(chosen, runtime.providers, context)
    realtime = is_realtime(agent.llm if is_given(agent.llm) else models.get("llm"))
    if not text_only and not realtime:
        _warn_of_missing_models(call, [kind for kind in MODEL_KINDS if kind != "stt" or hearing != "nobody"])
    options = await _merged_options(spec, call, runtime) | models
    if text_only:
        _listen_to_nobody(options)
        return AgentSession(**options), call, None
    _use_detectors(options, spec, runtime, realtime=realtime)
    if hearing == "caller":
        return AgentSession(**_made(options)), call, None
    _leave_turns_to_the_cast(options, realtime=realtime)
    if hearing != "nobody":
        session = AgentSession(**_made(options))
        return session, call, Ears.of(agent, options, realtime=realtime, turn_detection=session.turn_detection)
    if unused is not None:
        options["stt"] = partial(runtime.providers.build, "stt", unused, context)
    ears = Ears.of(agent, options, realtime=realtime)
    agent.update_options(stt=None, vad=None)
    _listen_to_nobody(options)
    return AgentSession(**options), call, ears


async def _merged_options(spec: AgentSpec, call: Call, runtime: Runtime) -> dict[str, Any]:
    contributed = await _contributed_options(call, runtime)
    own = {key: value for key, value in spec.session_options.items() if key not in MODEL_KINDS}
    turn: dict[str, Any] = {**contributed.get("turn_handling", {}), **own.get("turn_handling", {})}
    return {**contributed, **own, **({"turn_handling": turn} if turn else {})}


async def _contributed_options(call: Call, runtime: Runtime) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for outcome in await runtime.hooks.collect("openrtc_session_options", limit=HOOK_LIMIT, call=call):
        plugin = outcome.implementation.plugin
        if outcome.value is not None and not isinstance(outcome.value, Mapping):
            logger.error("%s: openrtc_session_options returned %r, not a mapping", plugin, outcome.value)
            continue
        for key, value in (outcome.value or {}).items():
            if key in owners:
                logger.warning("session option %r comes from %s; that of %s is ignored", key, owners[key], plugin)
                continue
            merged[key], owners[key] = value, plugin
    return merged


def _use_detectors(options: dict[str, Any], spec: AgentSpec, runtime: Runtime, *, realtime: bool) -> None:
    defaults = runtime.config.defaults
    vad = _first(spec.vad, defaults.vad, runtime.resources.get("vad"))
    if vad is not None:
        options.setdefault("vad", vad)
    turn = options.get("turn_handling", {})
    detection = spec.turn_detection
    if detection is None and "turn_detection" not in turn and not realtime:
        detection = _first(defaults.turn_detection, runtime.resources.get("turn_detection"))
    if detection is not None:
        options["turn_handling"] = {**turn, "turn_detection": detection}


def _listen_to_nobody(options: dict[str, Any]) -> None:
    options |= {"stt": None, "vad": None}
    options["turn_handling"] = {**options.get("turn_handling", {}), "turn_detection": MANUAL}


def _made(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the detectors made that are there as functions that make them."""
    made = dict(options)
    if "vad" in made:
        made["vad"] = _fresh(made["vad"])
    if "turn_detection" in (turn := made.get("turn_handling", {})):
        made["turn_handling"] = {**turn, "turn_detection": _fresh(turn["turn_detection"])}
    return made


def _leave_turns_to_the_cast(options: dict[str, Any], *, realtime: bool) -> None:
    # An answer that is begun before it is known who answers would be thrown away, and a realtime model that takes
    # turns itself would always answer.
    turn = {**options.get("turn_handling", {}), "preemptive_generation": {"enabled": False}}
    if realtime:
        turn.setdefault("turn_detection", "vad")
    options["turn_handling"] = turn


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _fresh(value: Any) -> Any:
    return value() if callable(value) else value


def _warn_of_missing_models(call: Call, needed: list[ModelKind]) -> None:
    missing = [kind for kind in needed if not call.models[kind]]
    if missing:
        logger.warning(
            "agent %r has no %s: set it in the agent or under [defaults] in openrtc.toml, or run with --offline",
            call.agent_name,
            " and no ".join(missing),
        )
