"""A scripted caller: asks its questions one after the other and waits for each answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

from livekit.agents import AgentSession

from openrtc.conversation.call_record import CallRecord, Turn
from openrtc.conversation.quiet import wait_until_quiet

FIRST_WORDS_LIMIT = 15.0
"""Seconds that the agent has for what it says by itself at the start."""

ANSWER_LIMIT = 40.0
"""Seconds from the end of a question to the end of its answer: a small machine recognises speech slowly at first."""

_STEP = 0.05


class Line(Protocol):
    """What connects a caller with an agent: audio without a server, a room, or text."""

    patience: float
    """For how many seconds the agent must be quiet before the caller speaks."""

    async def say(self, question: str) -> float:
        """Say something; return when it was over, on the monotonic clock."""

    def first_answer_after(self, moment: float) -> float | None:
        """Return when the agent was first heard (or read) after a moment, on the monotonic clock."""


async def hold_conversation(record: CallRecord, session: AgentSession[Any], line: Line) -> None:
    """Ask every question of a call.

    Args:
        record: The call; what happens in its session is noted there already.
        session: The agent's session.
        line: The connection.
    """
    await wait_until_quiet(session, quiet=line.patience, limit=FIRST_WORDS_LIMIT)
    for question in record.questions:
        if record.over or record.problem:
            break
        turn = Turn(question)
        record.turns.append(turn)
        turn.asked_at = await line.say(question)
        await _wait_for_answer(record, session, line)
        turn.answered_at = line.first_answer_after(turn.asked_at)
        if not turn.answered:
            record.fail(_why_unanswered(record, turn))


async def _wait_for_answer(record: CallRecord, session: AgentSession[Any], line: Line) -> None:
    deadline = time.monotonic() + ANSWER_LIMIT
    while not record.settled and time.monotonic() < deadline:  # noqa: ASYNC110 - the latency is not taken here
        await asyncio.sleep(_STEP)
    await wait_until_quiet(session, quiet=line.patience, limit=max(0.0, deadline - time.monotonic()))


def _why_unanswered(record: CallRecord, turn: Turn) -> str:
    if record.reply_failed():
        return next(what.what for what in turn.happened if hasattr(what, "what"))
    if record.over:
        return f"the agent ended the call instead of answering {turn.asked!r}"
    if record.answer_came():
        return f"the answer to {turn.asked!r} could not be heard"
    return f"no answer to {turn.asked!r} within {ANSWER_LIMIT:.0f} s"
