"""What an agent says when its call begins, where its own code does not say it."""

from __future__ import annotations

from typing import Any

from livekit.agents import Agent, AgentSession
from livekit.agents.utils import is_given

from openrtc.catalog.spec import AgentSpec
from openrtc.worker.models import is_realtime
from openrtc.worker.runtime import Runtime


def greeting_of(spec: AgentSpec, agent: Agent, runtime: Runtime) -> str:
    """Return the words: the spec's, else the settings' for an agent that has no ``on_enter`` of its own."""
    greets_itself = getattr(type(agent), "on_enter", None) is not Agent.on_enter
    return spec.greeting or ("" if greets_itself else runtime.config.defaults.greeting)


def greet(session: AgentSession[Any], greeting: str) -> None:
    """Say a greeting; nothing where there is none, or no voice.

    Args:
        session: A session that has started.
        greeting: The words.
    """
    if not greeting:
        return
    agent = session.current_agent
    if is_realtime(agent.llm if is_given(agent.llm) else session.llm):
        session.generate_reply(instructions=f"Greet the caller with these words: {greeting}")
    elif _has_voice(session, agent):
        session.say(greeting)


def _has_voice(session: AgentSession[Any], agent: Agent) -> bool:
    # Without audio output the words go out as text; with it they need a voice, whose lack has been told already.
    speaks_aloud = session.output.audio is not None and session.output.audio_enabled
    return not speaks_aloud or bool(agent.tts if is_given(agent.tts) else session.tts)
