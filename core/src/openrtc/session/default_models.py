"""Gives the models of ``[defaults]`` to sessions that a LiveKit entrypoint makes without any."""

from __future__ import annotations

import logging
from typing import Any

from livekit.agents import Agent, AgentSession
from livekit.agents.utils import is_given

from openrtc.model.agents import AgentSpec
from openrtc.model.provider import ProviderContext
from openrtc.runtime.providers import MODEL_KINDS
from openrtc.runtime.runtime import Runtime
from openrtc.session.models import build_models, choose_models, label_models
from openrtc.upstream.digest import describe_changes
from openrtc.upstream.session_models import set_models

logger = logging.getLogger("openrtc.worker")


def give_default_models(session: AgentSession[Any], agent: Agent, spec: AgentSpec, runtime: Runtime) -> None:
    """Give a session that names no model, and whose agent names none either, those of ``[defaults]``.

    One that names some is meant to do without the others: a session that only transcribes must not begin to answer.

    Args:
        session: A session that an entrypoint is about to start.
        agent: The agent that it starts with.
        spec: How the entrypoint is run.
        runtime: What the calls of this process share.

    Raises:
        OpenRTCError: A model cannot be used here.
    """
    if any(is_given(getattr(agent, kind)) or getattr(session, kind) is not None for kind in MODEL_KINDS):
        return
    chosen = choose_models(spec, agent, runtime.config.defaults, runtime.providers)
    if not chosen:
        return
    if changes := describe_changes("models"):
        text = "agent %r: it gets no models of [defaults], since OpenRTC does not know this livekit-agents: %s"
        logger.warning(text, spec.name, changes)
        return
    context = ProviderContext(agent_name=spec.name, agent=agent, examples=spec.examples)
    set_models(session, build_models(chosen, runtime.providers, context))
    named = ", ".join(f"{kind} {label}" for kind, label in label_models(chosen, agent).items() if label)
    logger.info("agent %r: its session names no models, and gets those of [defaults]: %s", spec.name, named)
