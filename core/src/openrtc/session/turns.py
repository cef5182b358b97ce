"""Emits the turns of a call: what livekit-agents' session reports, as one event for each turn of the agent."""

from __future__ import annotations

from typing import Any

from livekit.agents import (
    Agent,
    AgentSession,
    AgentStateChangedEvent,
    CloseEvent,
    ConversationItemAddedEvent,
    UserStateChangedEvent,
)
from livekit.agents.llm import ChatMessage

from openrtc.runtime.live_call import LiveCall
from openrtc.session.models import has_realtime_model


def watch_turns(session: AgentSession[Any], agent: Agent, live: LiveCall) -> None:
    """Emit each turn of the agent: what it has heard and said.

    Args:
        session: The call's session, before it starts.
        agent: The agent that it starts with.
        live: The call.
    """
    turns = Turns(live, realtime=has_realtime_model(agent, session))
    session.on("conversation_item_added", turns.on_item_added)
    session.on("user_state_changed", turns.on_user_changed)
    session.on("agent_state_changed", turns.on_agent_changed)
    session.on("close", turns.on_close)


class Turns:
    """Puts turns together, each from the caller's message and all that the agent says until it listens again.

    A pipeline reports its latencies with the messages. A realtime model may report none, and its transcript of the
    caller may come late or never: there the caller's silence opens the turn, and the agent's first sound is timed
    from it.

    Args:
        live: The call.
        realtime: Whether a realtime model holds it.
    """

    def __init__(self, live: LiveCall, *, realtime: bool) -> None:
        self._live = live
        self._realtime = realtime
        self._open = False
        self._heard: list[str] = []
        self._said: list[str] = []
        self._interrupted = False
        self._measured: dict[str, Any] = {}
        self._end_of_turn: float | None = None
        self._silent_since: float | None = None
        self._latency: float | None = None

    def on_item_added(self, event: ConversationItemAddedEvent) -> None:
        """Take a message of the caller or of the agent."""
        if not isinstance(event.item, ChatMessage):
            return
        metrics: dict[str, Any] = {**event.item.metrics}
        if event.item.role == "user":
            self._tell()
            self._hear(event.item.text_content or "", metrics)
        elif event.item.role == "assistant":
            self._measured = self._measured or metrics
            self._said.append(event.item.text_content or "")
            self._interrupted = self._interrupted or event.item.interrupted

    def on_user_changed(self, event: UserStateChangedEvent) -> None:
        """Note when the caller begins to speak and falls silent."""
        if event.new_state == "speaking" and not self._open:
            # What was noted of earlier sounds, such as a greeting that was spoken over, belongs to no turn.
            self._tell_unanswered()
            self._end_of_turn = self._silent_since = self._latency = None
        elif event.old_state == "speaking" and self._latency is None:
            self._silent_since = event.created_at
            self._open = self._open or self._realtime

    def on_agent_changed(self, event: AgentStateChangedEvent) -> None:
        """Note when the agent's first sound is heard, and that its turn is over when it listens again."""
        if event.new_state == "listening":
            self._tell()
        if event.new_state == "speaking" and self._open and self._silent_since is not None and self._latency is None:
            self._latency = max(0.0, event.created_at - self._silent_since)

    def on_close(self, _: CloseEvent) -> None:
        """Tell what is left, also words of the caller that nobody has answered."""
        self._tell()
        self._tell_unanswered()
        self._reset()

    def _hear(self, text: str, metrics: dict[str, Any]) -> None:
        self._heard = [*self._heard, text] if self._open else [text]
        self._end_of_turn = metrics.get("end_of_turn_delay")
        self._silent_since = metrics.get("stopped_speaking_at", self._silent_since if self._realtime else None)
        # The transcript of a realtime model may come when the turn has been answered already.
        self._open = self._open or not self._realtime

    def _tell(self) -> None:
        if not self._said:
            return
        said, interrupted = " ".join(filter(None, self._said)), self._interrupted
        if not self._open:
            self._live.emit_turn("", said, interrupted=interrupted, answered=False)
            self._said, self._interrupted, self._measured = [], False, {}
            return
        self._live.emit_turn(
            " ".join(self._heard),
            said,
            interrupted=interrupted,
            end_of_turn_seconds=self._end_of_turn,
            llm_ttft_seconds=self._measured.get("llm_node_ttft"),
            tts_ttfb_seconds=self._measured.get("tts_node_ttfb"),
            latency_seconds=self._measured.get("e2e_latency", self._latency),
        )
        self._reset()

    def _tell_unanswered(self) -> None:
        # Of a realtime model also words that were recognised when they had been answered.
        if any(self._heard):
            self._live.emit_turn(" ".join(self._heard), "", answered=False)
        self._heard = []

    def _reset(self) -> None:
        self._open, self._heard = False, []
        self._said, self._interrupted, self._measured = [], False, {}
        self._end_of_turn = self._silent_since = self._latency = None
