"""`Ears`: what a session of a cast hears people with, so that one that has heard nobody can begin to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from livekit.agents import Agent, AgentSession, inference
from livekit.agents.utils import is_given

from openrtc.worker.upstream.speech import end_user_speech

MANUAL: Final = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ears:
    """What a session hears people with; nothing of it is made before it is used.

    Args:
        stt: Makes its speech recognition, if it has any.
        vad: Makes its voice activity detection.
        turn_detection: Makes what tells when a person's turn is over.
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
        """Whether a session can hear with them."""
        return self.realtime or self.has_stt

    @classmethod
    def of(cls, agent: Agent, options: Mapping[str, Any], *, realtime: bool, turn_detection: Any = None) -> Ears:
        """Return what an agent's session would hear with.

        Args:
            agent: The agent, before anything was taken from it.
            options: Those of the session; a model may be a function that makes it.
            realtime: Whether its model hears by itself.
            turn_detection: What livekit-agents takes where the options say nothing.
        """
        stt = agent.stt if is_given(agent.stt) else options.get("stt")
        vad = agent.vad if is_given(agent.vad) else options.get("vad", _bundled_vad)
        turn = options.get("turn_handling", {})
        return cls(
            stt=_maker(stt),
            vad=_maker(vad),
            turn_detection=_maker(turn.get("turn_detection", turn_detection)),
            realtime=realtime,
            has_stt=stt is not None,
        )

    def open(self, session: AgentSession[Any]) -> None:
        """Let a session hear: the agent that it runs now."""
        session.current_agent.update_options(stt=self.stt(), vad=self.vad())
        session.update_options(turn_detection=self.turn_detection())

    @staticmethod
    def close(session: AgentSession[Any]) -> None:
        """Let a session hear nothing more, so that nothing of it costs anything."""
        session.update_options(turn_detection=MANUAL)
        session.current_agent.update_options(stt=None, vad=None)
        end_user_speech(session)


def _maker(value: Any) -> Callable[[], Any]:
    return value if callable(value) else lambda: value


def _bundled_vad() -> Any:
    # What livekit-agents takes where nothing else is said.
    return inference.VAD(model="silero")
