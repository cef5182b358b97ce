"""What goes in and comes out of a session that neither hears nor speaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livekit.agents import AgentSession
from livekit.agents.voice import io

from openrtc.conversation.session_events import describe_model_error


async def send_text(session: AgentSession[Any], text: str) -> str | None:
    """Send an agent a line and wait for its reply; return why there is none, in one line, where there is none.

    Args:
        session: A session that has started.
        text: What the caller writes.
    """
    try:
        await session.run(user_input=text)
    except Exception as error:  # whatever a language model raises: the next line, or the next call, may fare better
        return f"no answer: {describe_model_error(error)}"
    return None


class CallbackTextOutput(io.TextOutput):
    """Where a session without audio sends the agent's words.

    Args:
        on_text: Gets each piece as the language model writes it.
        on_end: Called when an utterance is complete.
    """

    def __init__(self, on_text: Callable[[str], None], on_end: Callable[[], None]) -> None:
        super().__init__(label="words", next_in_chain=None)
        self._on_text = on_text
        self._on_end = on_end

    async def capture_text(self, text: str) -> None:
        """Take a piece."""
        self._on_text(text)

    def flush(self) -> None:
        """End the utterance."""
        self._on_end()
