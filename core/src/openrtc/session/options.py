"""Builds the session of a call: its models, and its options from the agent, its spec, the settings and the plugins.

Where each option comes from: what stands further left outweighs what stands further right, and livekit-agents' own
default is the last of all. "Options" are the spec's ``session_options``, "hooks" the plugins'
``openrtc_session_options``.

=====================  ===================================================================
``stt``, ``llm``       agent, spec, options, ``[defaults]``, ``--offline``, hooks
``tts``                (a realtime model: neither ``[defaults]`` nor ``--offline``)
``vad``                agent, options, hooks, spec, ``[defaults]``, resource ``vad``
``turn_detection``     spec, options, hooks, ``[defaults]``, resource ``turn_detection``
                       (a realtime model: neither ``[defaults]`` nor the resource)
any other              options, hooks
=====================  ===================================================================

No two calls get one object that one of them may change: `openrtc.session.own_options`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from livekit.agents import Agent, AgentSession
from livekit.agents.utils import is_given

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.call import Call
from openrtc.model.provider import ProviderContext
from openrtc.runtime.providers import MODEL_KINDS, ModelKind
from openrtc.runtime.runtime import HOOK_LIMIT, Runtime
from openrtc.session.hearing import MANUAL, SpeechInput
from openrtc.session.models import (
    build_models,
    choose_models,
    first_given,
    is_realtime,
    label_models,
    require_served,
    use_stand_in,
)
from openrtc.session.own_options import make_own_options

logger = logging.getLogger("openrtc.worker")

Hearing = Literal["caller", "people", "members", "nobody"]
"""Whom a session listens to: the caller of a single agent; in a cast people, the other members, or nobody."""


async def build_session(
    spec: AgentSpec, agent: Agent, call: Call, runtime: Runtime, *, text_only: bool, hearing: Hearing = "caller"
) -> tuple[AgentSession[Any], Call, SpeechInput | None]:
    """Build the session of a call; the module's docstring says what outweighs what.

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
    if text_only and runtime.stand_in is not None:
        chosen: dict[ModelKind, Any] = {"llm": runtime.stand_in(call)}
    else:
        chosen = choose_models(spec, agent, runtime.config.defaults, runtime.providers)
    if text_only:  # the keys of the others need not be there
        chosen = {kind: model for kind, model in chosen.items() if kind == "llm"}
    # A member that hears nobody gets its STT when it first listens, if ever.
    late_stt = chosen.pop("stt", None) if hearing == "nobody" else None
    call = replace(call, models=label_models(chosen, agent))
    context = ProviderContext(agent_name=call.agent_name, agent=agent, examples=spec.examples)
    models = build_models(chosen, runtime.providers, context)
    if text_only and runtime.stand_in is not None:
        use_stand_in(agent, models["llm"])
    require_served(agent, models, runtime.find_lacks(call.agent_name))
    realtime = is_realtime(agent.llm if is_given(agent.llm) else models.get("llm"))
    if not text_only and not realtime:
        needed = [kind for kind in MODEL_KINDS if kind != "stt" or hearing != "nobody"]
        _warn_of_missing_models(call, needed, offline=runtime.config.defaults.offline)

    options = await _merge_options(spec, call, runtime) | models
    if text_only:
        return AgentSession(**_without_hearing(options)), call, None
    options = _add_detectors(options, spec, runtime, realtime=realtime)
    if hearing == "caller":
        return AgentSession(**_build_detectors(options)), call, None

    options = _leave_turns_to_cast(options, realtime=realtime)
    if hearing != "nobody":
        session = AgentSession(**_build_detectors(options))
        return session, call, SpeechInput.of(agent, options, realtime=realtime, turn_detection=session.turn_detection)
    if late_stt is not None:
        options["stt"] = partial(runtime.providers.build, "stt", late_stt, context)
    speech_input = SpeechInput.of(agent, options, realtime=realtime)
    agent.update_options(stt=None, vad=None)  # what it brought itself waits in `speech_input`
    return AgentSession(**_without_hearing(options)), call, speech_input


async def _merge_options(spec: AgentSpec, call: Call, runtime: Runtime) -> dict[str, Any]:
    hooks = await _collect_hook_options(call, runtime)
    own = await make_own_options(spec.fixed_session_options, spec.name)  # settled for this call
    own = {key: value for key, value in own.items() if key not in MODEL_KINDS}
    # Merged key by key, so that a package that sets only, say, `endpointing` keeps a plugin's `turn_detection`.
    turn = {**hooks.get("turn_handling", {}), **own.get("turn_handling", {})}
    return {**hooks, **own, **({"turn_handling": turn} if turn else {})}


async def _collect_hook_options(call: Call, runtime: Runtime) -> dict[str, Any]:
    """Return the options of all plugins; of two that set the same one, the first that was asked counts."""
    merged: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for result in await runtime.hooks.collect("openrtc_session_options", limit=HOOK_LIMIT, call=call):
        plugin = result.implementation.plugin
        if result.value is not None and not isinstance(result.value, Mapping):
            logger.error("%s: openrtc_session_options returned %r, not a mapping", plugin, result.value)
            continue
        try:
            options = await make_own_options(result.value or {}, plugin)
        except OpenRTCError as error:
            logger.error("%s: openrtc_session_options: %s; its options are ignored", plugin, error)
            continue
        for key, value in options.items():
            if key in owners:
                logger.warning("session option %r comes from %s; that of %s is ignored", key, owners[key], plugin)
                continue
            merged[key], owners[key] = value, plugin
    return merged


def _add_detectors(options: Mapping[str, Any], spec: AgentSpec, runtime: Runtime, *, realtime: bool) -> dict[str, Any]:
    """Return the options with voice activity and turn detection where the spec, the settings or a resource has one."""
    defaults, resources = runtime.config.defaults, runtime.resources
    added = dict(options)
    vad = first_given(spec.vad, defaults.vad, resources.get("vad"))
    if vad is not None:
        added.setdefault("vad", vad)  # an explicit None stays: no detection
    turn = options.get("turn_handling", {})
    detection = spec.turn_detection
    if detection is None and "turn_detection" not in turn and not realtime:
        detection = first_given(defaults.turn_detection, resources.get("turn_detection"))
    if detection is not None:
        added["turn_handling"] = {**turn, "turn_detection": detection}
    return added


def _build_detectors(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with detectors that are given as factories built, for one session each."""
    built = dict(options)
    if callable(options.get("vad")):
        built["vad"] = options["vad"]()
    turn = options.get("turn_handling", {})
    if callable(turn.get("turn_detection")):
        built["turn_handling"] = {**turn, "turn_detection": turn["turn_detection"]()}
    return built


def _without_hearing(options: Mapping[str, Any]) -> dict[str, Any]:
    # None and not absent: livekit-agents would add its own voice activity detection.
    turn = {**options.get("turn_handling", {}), "turn_detection": MANUAL}
    return {**options, "stt": None, "vad": None, "turn_handling": turn}


def _leave_turns_to_cast(options: Mapping[str, Any], *, realtime: bool) -> dict[str, Any]:
    # An answer that is begun before it is known who answers would be thrown away, and a realtime model that takes
    # turns itself would always answer.
    turn = {**options.get("turn_handling", {}), "preemptive_generation": {"enabled": False}}
    if realtime:
        turn.setdefault("turn_detection", "vad")
    return {**options, "turn_handling": turn}


def _warn_of_missing_models(call: Call, needed: list[ModelKind], *, offline: bool) -> None:
    missing = [kind for kind in needed if not call.models[kind]]
    if missing:
        logger.warning(
            "agent %r has no %s: set it in the agent or under [defaults] in openrtc.toml%s",
            call.agent_name,
            " and no ".join(missing),
            "" if offline else ", or run with --offline",  # which has said at the start what it lacks
        )
