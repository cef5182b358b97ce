"""`Transcript`: what agents write into a room of what is said there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from livekit import rtc

_TOPIC = "lk.transcription"
_SEGMENT = "lk.segment_id"
"""LiveKit's topic of transcriptions, and the attribute that names the utterance of which a stream is a version."""


class Transcript:
    """Collects the transcriptions that agents write into a room: the caller's words and their own.

    Args:
        room: The room, not connected yet.
    """

    def __init__(self, room: rtc.Room) -> None:
        self._segments: dict[str, _Segment] = {}
        self._reading: set[asyncio.Task[None]] = set()
        room.register_text_stream_handler(_TOPIC, self._on_stream)

    @property
    def mark(self) -> int:
        """How much there is so far, for ``since``."""
        return len(self._segments)

    def words_of(self, identity: str, *, since: int = 0) -> str:
        """Return the words of one participant."""
        return _join(one for one in self._after(since) if one.identity == identity)

    def words_of_others(self, identity: str, *, since: int = 0) -> str:
        """Return the words of everybody but one participant."""
        return _join(one for one in self._after(since) if one.identity != identity)

    def _after(self, since: int) -> list[_Segment]:
        return list(self._segments.values())[since:]

    def _on_stream(self, reader: rtc.TextStreamReader, identity: str) -> None:
        attributes = reader.info.attributes or {}
        key = attributes.get(_SEGMENT) or reader.info.stream_id
        segment = self._segments.setdefault(key, _Segment(identity))
        task = asyncio.create_task(_read(reader, segment), name="transcript")
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)


@dataclass(slots=True)
class _Segment:
    identity: str
    text: str = ""


async def _read(reader: rtc.TextStreamReader, segment: _Segment) -> None:
    # A caller's words come again with each guess, an agent's own piece by piece: either way a stream is the whole text.
    text = ""
    async for piece in reader:
        text += piece
        segment.text = text


def _join(segments: Iterable[_Segment]) -> str:
    return " ".join(one.text.strip() for one in segments if one.text.strip())
