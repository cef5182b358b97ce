"""`Words`: takes the text of an agent that has no voice."""

from __future__ import annotations

from collections.abc import Callable

from livekit.agents.voice import io


class Words(io.TextOutput):
    """Where a session without audio sends the agent's words.

    Args:
        piece: Gets each piece as the language model writes it.
        complete: Called when an utterance is complete.
    """

    def __init__(self, piece: Callable[[str], None], complete: Callable[[], None]) -> None:
        super().__init__(label="words", next_in_chain=None)
        self._piece = piece
        self._complete = complete

    async def capture_text(self, text: str) -> None:
        """Take a piece."""
        self._piece(text)

    def flush(self) -> None:
        """End the utterance."""
        self._complete()
