"""`CallRecord`: what happened in one call of the demo."""

from __future__ import annotations

from dataclasses import dataclass, field

from openrtc.conversation.happenings import Called, Ended, Failed, HandedOver, Happening, Heard, Said
from openrtc.routing.decision import Decision

Shown = Heard | Called | Said | HandedOver | Failed


@dataclass(slots=True)
class Turn:
    """One question, and what came of it.

    Args:
        asked: What the caller said; empty for what the agent said by itself at the start.
        asked_at: When the caller had finished, on the monotonic clock.
        answered_at: When the agent's answer was first heard (or read), if it was.
        happened: What happened, in order.
    """

    asked: str
    asked_at: float = 0.0
    answered_at: float | None = None
    happened: list[Shown] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        """Whether the agent said something that could be heard (or read)."""
        return self.answered_at is not None and any(isinstance(what, Said) for what in self.happened)

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
        began: When the caller called, on the monotonic clock.
        ended: When the caller hung up.
    """

    room: str
    wanted: str
    questions: tuple[str, ...]
    job_metadata: str = ""
    decision: Decision | None = None
    turns: list[Turn] = field(default_factory=lambda: [Turn("")])
    problem: str | None = None
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
    def doing(self) -> str:
        """What goes on now, in a few words."""
        if self.decision is None:
            return "calling"
        last = self.turns[-1].happened[-1] if self.turns[-1].happened else None
        if isinstance(last, Heard):
            return f"heard: {last.text}"
        if isinstance(last, Called):
            return f"called {last.signature}"
        if isinstance(last, Said):
            return f"said: {last.text}"
        return f"asking: {self.turns[-1].asked}" if self.turns[-1].asked else "connected"

    def happened(self, happening: Happening) -> None:
        """Note what happened in the session."""
        if isinstance(happening, Ended):
            self.over = True
            self.problem = self.problem or (happening.error and f"the session ended: {happening.error}")
        else:
            self.turns[-1].happened.append(happening)

    def fail(self, problem: str) -> None:
        """Note why this is no conversation; the first reason stands."""
        self.problem = self.problem or problem

    @property
    def settled(self) -> bool:
        """Whether this turn needs no more waiting: an answer came, or none will."""
        return self.answer_came() or self.reply_failed() or self.over or self.problem is not None

    def answer_came(self) -> bool:
        """Whether the agent has said something in this turn."""
        return any(isinstance(what, Said) for what in self.turns[-1].happened)

    def reply_failed(self) -> bool:
        """Whether a model has failed in this turn."""
        return any(isinstance(what, Failed) for what in self.turns[-1].happened)
