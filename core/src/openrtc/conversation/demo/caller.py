"""A scripted caller: asks its questions one after the other and waits for each answer."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from livekit.agents import AgentSession

from openrtc.conversation.demo.call_record import CallRecord, RecordedTurn
from openrtc.conversation.idle import wait_until_quiet

GREETING_SECONDS = 15.0
"""Seconds that the agent has for what it says by itself at the start."""

ANSWER_LIMIT = 40.0
"""Seconds from the end of a question to the end of its answer: a small machine recognises speech slowly at first."""

_STEP = 0.05  # seconds between two looks; what is measured has its own times


class CallLine(ABC):
    """What connects a caller with an agent: audio without a server, a room, or text."""

    patience: ClassVar[float]
    """For how many seconds the agent must be quiet before the caller speaks."""

    def __init__(self) -> None:
        self.heard_at: list[float] = []
        """When the agent was heard (or read), after a pause or another piece of text, on the monotonic clock."""

    @abstractmethod
    async def say(self, question: str) -> float:
        """Say something; return when it was over, on the monotonic clock."""

    @abstractmethod
    async def aclose(self) -> None:
        """Hang up."""

    def first_answer_after(self, moment: float) -> float | None:
        """Return when the agent was first heard (or read) after a moment, on the monotonic clock."""
        return next((at for at in self.heard_at if at >= moment), None)


async def hold_conversation(record: CallRecord, session: AgentSession[Any], line: CallLine) -> None:
    """Ask every question of a call.

    Args:
        record: The call; what happens in its session is noted there already.
        session: The agent's session.
        line: The connection.
    """
    await wait_until_quiet(session, quiet=line.patience, limit=GREETING_SECONDS)
    for question in record.questions:
        if record.over or record.problem:
            break
        turn = RecordedTurn(question)
        record.turns.append(turn)
        turn.asked_at = await line.say(question)
        await _wait_for_answer(record, session, line)
        turn.answered_at = line.first_answer_after(turn.asked_at)
        if not turn.answered:
            record.fail(_explain_silence(record, turn))


async def _wait_for_answer(record: CallRecord, session: AgentSession[Any], line: CallLine) -> None:
    deadline = time.monotonic() + ANSWER_LIMIT
    while not record.needs_no_answer and time.monotonic() < deadline:  # noqa: ASYNC110 - the line measures the latency
        await asyncio.sleep(_STEP)
    await wait_until_quiet(session, quiet=line.patience, limit=max(0.0, deadline - time.monotonic()))


def _explain_silence(record: CallRecord, turn: RecordedTurn) -> str:
    if turn.failure is not None:
        return turn.failure
    if record.over:
        return f"the agent ended the call instead of answering {turn.asked!r}"
    if turn.agent_spoke:
        return f"the answer to {turn.asked!r} could not be heard"
    return f"no answer to {turn.asked!r} within {ANSWER_LIMIT:.0f} s"
