"""`TextLine`: a scripted caller and an agent that write to each other."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from livekit.agents import AgentSession

from openrtc.conversation.demo.call_record import CallRecord
from openrtc.conversation.demo.caller import CallLine
from openrtc.conversation.text_io import CallbackTextOutput, send_text


class TextLine(CallLine):
    """Connects a scripted caller with an agent in text.

    Args:
        session: The agent's session; it has not started yet.
        record: The call.
    """

    patience = 0.2  # text comes without the pauses of speech

    def __init__(self, session: AgentSession[Any], record: CallRecord) -> None:
        super().__init__()
        self._session = session
        self._record = record
        self._replies: set[asyncio.Task[None]] = set()
        session.output.transcription = CallbackTextOutput(self._read, lambda: None)

    async def say(self, question: str) -> float:
        """Send a line."""
        task = asyncio.create_task(self._run(question))
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)
        return time.monotonic()

    async def aclose(self) -> None:
        """Give up on replies that have not come."""
        for task in self._replies:
            task.cancel()

    def _read(self, piece: str) -> None:
        if piece.strip():
            self.heard_at.append(time.monotonic())

    async def _run(self, question: str) -> None:
        if problem := await send_text(self._session, question):
            self._record.fail(problem)
