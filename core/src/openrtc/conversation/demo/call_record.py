"""`CallRecord`: what happened in one call of the demo."""

from __future__ import annotations

from dataclasses import dataclass, field

from openrtc.conversation.session_events import Ended, Failed, HandedOver, Heard, Said, SessionEvent, ToolUsed
from openrtc.model.decision import Decision

TurnEvent = Heard | ToolUsed | Said | HandedOver | Failed


@dataclass(slots=True)
class RecordedTurn:
    """One question, and what came of it.

    Args:
        asked: What the caller said; empty for what the agent said by itself at the start.
        asked_at: When the caller had finished, on the monotonic clock.
        answered_at: When the agent's answer was first heard (or read), if it was.
        events: What happened, in order.
    """

    asked: str
    asked_at: float = 0.0
    answered_at: float | None = None
    events: list[TurnEvent] = field(default_factory=list)

    @property
    def agent_spoke(self) -> bool:
        """Whether the agent has said something, heard or not."""
        return any(isinstance(event, Said) for event in self.events)

    @property
    def answered(self) -> bool:
        """Whether the agent said something that could be heard (or read)."""
        return self.answered_at is not None and self.agent_spoke

    @property
    def failure(self) -> str | None:
        """Which model has failed first, and why, if one has."""
        return next((event.what for event in self.events if isinstance(event, Failed)), None)

    @property
    def latency(self) -> float | None:
        """Seconds from the end of the question to the first sound (or words) of the answer."""
        return None if self.answered_at is None else max(0.0, self.answered_at - self.asked_at)


@dataclass(slots=True)
class CallRecord:
    """One call of the demo.

    Args:
        room: Name of the room.
        wanted: The agent that the call was made for.
        questions: What the caller asks.
        job_metadata: Metadata of the dispatch.
        decision: How the call was routed, once it was.
        turns: The agent's own first words, then a turn for each question.
        problem: Why the call was no conversation, in one line.
        lacking: What its agent needs and this machine has not, where that was found out in the call.
        began: When the caller called, on the monotonic clock.
        ended: When the caller hung up.
        over: Whether the session was closed.
    """

    room: str
    wanted: str
    questions: tuple[str, ...]
    job_metadata: str = ""
    decision: Decision | None = None
    turns: list[RecordedTurn] = field(default_factory=lambda: [RecordedTurn("")])
    problem: str | None = None
    lacking: str | None = None
    began: float = 0.0
    ended: float = 0.0
    over: bool = False

    @property
    def agent(self) -> str:
        """The agent that answered, or that should have."""
        return self.decision.agents[0] if self.decision and self.decision.agents else self.wanted

    @property
    def good(self) -> bool:
        """Whether every question was answered."""
        return (
            self.problem is None
            and len(self.turns) == len(self.questions) + 1
            and all(turn.answered for turn in self.turns[1:])
        )

    @property
    def needs_no_answer(self) -> bool:
        """Whether the last turn needs no more waiting: an answer came, or none will."""
        turn = self.turns[-1]
        return turn.agent_spoke or turn.failure is not None or self.over or self.problem is not None

    def describe_activity(self) -> str:
        """Return what goes on now, in a few words."""
        if self.decision is None:
            return "calling"
        last = self.turns[-1].events[-1] if self.turns[-1].events else None
        if isinstance(last, Heard):
            return f"heard: {last.text}"
        if isinstance(last, ToolUsed):
            return f"called {last.signature}"
        if isinstance(last, Said):
            return f"said: {last.text}"
        return f"asking: {self.turns[-1].asked}" if self.turns[-1].asked else "connected"

    def add_event(self, event: SessionEvent) -> None:
        """Note what happened in the session."""
        if isinstance(event, Ended):
            self.over = True
            if event.error:
                self.fail(f"the session ended: {event.error}")
        else:
            self.turns[-1].events.append(event)

    def fail(self, problem: str) -> None:
        """Note why this is no conversation; the first reason stands."""
        self.problem = self.problem or problem
