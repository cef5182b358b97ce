"""What an agent says when its call begins, where its own code does not say it."""

from __future__ import annotations

from typing import Any

from livekit.agents import Agent, AgentSession
from livekit.agents.utils import is_given

from openrtc.model.agents import AgentSpec
from openrtc.runtime.runtime import Runtime
from openrtc.session.models import has_realtime_model


def choose_greeting(spec: AgentSpec, agent: Agent, runtime: Runtime) -> str:
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
    if has_realtime_model(session.current_agent, session):
        # say() needs a TTS, which a realtime model replaces.
        session.generate_reply(instructions=f"Greet the caller with these words: {greeting}")
    elif can_say(session):
        session.say(greeting)


def can_say(session: AgentSession[Any]) -> bool:
    """Whether a session can say given words, aloud or as text."""
    # Without audio output the words go out as text. With it they need a TTS; that there is none has been logged
    # already, and say() would raise.
    speaks_aloud = session.output.audio is not None and session.output.audio_enabled
    tts = session.current_agent.tts
    return not speaks_aloud or bool(tts if is_given(tts) else session.tts)
