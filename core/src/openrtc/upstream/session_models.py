"""Gives a session that somebody has made models which it was not made with: private names of livekit-agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from livekit.agents import AgentSession


def set_models(session: AgentSession[Any], models: Mapping[str, Any]) -> None:
    """Give a session models, as if it had been made with them.

    Args:
        session: A session that has not started, of a livekit-agents whose part ``models`` is known.
        models: What `AgentSession` takes as ``stt``, ``llm`` and ``tts``, by these names.
    """
    made = AgentSession[Any](**models, vad=None, turn_handling={"turn_detection": "manual"})  # it reads strings, too
    session._stt, session._llm, session._tts = made.stt, made.llm, made.tts
