"""What is written of a call is kept by participant and in order; of a caller's sentence the last guess stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

from openrtc.conversation.call.transcript import Transcript


class Reader:
    """Stands for one text stream."""

    def __init__(self, segment: str, *pieces: str) -> None:
        self.info = SimpleNamespace(attributes={"lk.segment_id": segment}, stream_id=segment)
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[str]:
        for piece in self._pieces:
            yield piece


class OneRoom:
    """Stands for the room: it keeps the handler."""

    def register_text_stream_handler(self, topic: str, handler: Callable[[Any, str], None]) -> None:
        assert topic == "lk.transcription"
        self.arrive = handler


async def test_the_last_guess_at_a_sentence_stands_and_an_agents_words_come_in_pieces() -> None:
    room: Any = OneRoom()
    transcript = Transcript(room)
    room.arrive(Reader("g", "Hello, ", "this is sales."), "agent")
    await asyncio.sleep(0)
    mark = transcript.mark
    for guess in ("where is", "where is my order"):
        room.arrive(Reader("u1", guess), "caller")
        await asyncio.sleep(0)
    room.arrive(Reader("a1", "On ", "the truck."), "agent")
    room.arrive(Reader("a2", "Anything else?"), "helper")
    await asyncio.sleep(0.01)
    assert transcript.words_of("caller", since=mark) == "where is my order"
    assert transcript.words_of_others("caller", since=mark) == "On the truck. Anything else?"
    assert transcript.words_of_others("caller") == "Hello, this is sales. On the truck. Anything else?"
