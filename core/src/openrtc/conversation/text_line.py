"""`TextLine`: a scripted caller and an agent that write to each other."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from livekit.agents import AgentSession

from openrtc.conversation.call_record import CallRecord
from openrtc.conversation.session_watch import describe_error
from openrtc.conversation.words import Words


class TextLine:
    """Connects a scripted caller with an agent in text.

    Args:
        session: The agent's session; it has not started yet.
        record: The call.
    """

    patience = 0.2

    def __init__(self, session: AgentSession[Any], record: CallRecord) -> None:
        self._session = session
        self._record = record
        self._read_at: list[float] = []
        self._replies: set[asyncio.Task[None]] = set()
        session.output.transcription = Words(self._read, lambda: None)

    async def say(self, question: str) -> float:
        """Send a line."""
        task = asyncio.create_task(self._run(question))
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)
        return time.monotonic()

    def first_answer_after(self, moment: float) -> float | None:
        """Return when the first words came after a moment."""
        return next((at for at in self._read_at if at >= moment), None)

    async def aclose(self) -> None:
        """Give up on replies that have not come."""
        for task in self._replies:
            task.cancel()

    def _read(self, piece: str) -> None:
        if piece.strip():
            self._read_at.append(time.monotonic())

    async def _run(self, question: str) -> None:
        try:
            await self._session.run(user_input=question)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever a language model raises
            self._record.fail(f"no answer: {describe_error(error)}")
