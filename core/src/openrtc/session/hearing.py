"""Audio input of a cast member's session, built when it first listens: a member that never does pays for no STT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from livekit.agents import Agent, AgentSession, inference
from livekit.agents.utils import is_given

from openrtc.upstream.speech import end_user_speech

MANUAL: Final = "manual"
"""livekit-agents' turn detection for sessions whose turns somebody else ends: here, that hear nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechInput:
    """What a session hears people with; each part is built when it is used.

    Args:
        stt: Builds its speech recognition; returns None if it has none.
        vad: Builds its voice activity detection.
        turn_detection: Builds what decides when a person's turn is over.
        realtime: Whether its model hears by itself.
        has_stt: Whether it has speech recognition.
    """

    stt: Callable[[], Any]
    vad: Callable[[], Any]
    turn_detection: Callable[[], Any]
    realtime: bool
    has_stt: bool

    @property
    def usable(self) -> bool:
        """Whether a session can hear with it."""
        return self.realtime or self.has_stt

    @classmethod
    def of(cls, agent: Agent, options: Mapping[str, Any], *, realtime: bool, turn_detection: Any = None) -> SpeechInput:
        """Return what an agent's session would hear with.

        Args:
            agent: The agent, before anything was taken from it.
            options: Those of the session; a model may be a function that builds it.
            realtime: Whether its model hears by itself.
            turn_detection: What livekit-agents takes where the options say nothing.
        """
        stt = agent.stt if is_given(agent.stt) else options.get("stt")
        vad = agent.vad if is_given(agent.vad) else options.get("vad", _build_bundled_vad)
        turn = options.get("turn_handling", {})
        return cls(
            stt=_as_factory(stt),
            vad=_as_factory(vad),
            turn_detection=_as_factory(turn.get("turn_detection", turn_detection)),
            realtime=realtime,
            has_stt=stt is not None,
        )

    def open(self, session: AgentSession[Any]) -> None:
        """Let a session hear: the agent that it runs now."""
        session.current_agent.update_options(stt=self.stt(), vad=self.vad())
        session.update_options(turn_detection=self.turn_detection())

    @staticmethod
    def close(session: AgentSession[Any]) -> None:
        """Let a session hear nothing more, so that its recognition and detection cost nothing."""
        session.update_options(turn_detection=MANUAL)
        session.current_agent.update_options(stt=None, vad=None)
        # The end of a sentence that is under way will not be heard any more.
        end_user_speech(session)


def _as_factory(value: Any) -> Callable[[], Any]:
    return value if callable(value) else lambda: value


def _build_bundled_vad() -> Any:
    # livekit-agents' own default, which it builds only where `vad` is left out: a session that begins by hearing nobody
    # opts out of it with None.
    return inference.VAD(model="silero")
