"""`Microphone`: what a session without a room hears, in real time."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from livekit import rtc
from livekit.agents.voice import io

from openrtc.conversation.sound import FRAME_BYTES, FRAME_SECONDS, frames, to_frame

_BEHIND = 0.2
"""By how many seconds frames may be late before the clock is set anew, instead of catching up in a burst."""


class Microphone(io.AudioInput):
    """What a scripted caller says, and silence in between: a frame of 20 ms every 20 ms."""

    def __init__(self) -> None:
        super().__init__(label="scripted caller")
        self._frames: deque[bytes] = deque()
        self._next: float | None = None
        self._spoken: asyncio.Future[float] | None = None

    async def say(self, pcm: bytes) -> float:
        """Speak; return when the last frame was sent, on the monotonic clock.

        Args:
            pcm: Speech: 16 kHz, mono, 16 bit.
        """
        self._frames.extend(frames(pcm))
        self._spoken = asyncio.get_running_loop().create_future()
        return await self._spoken

    async def __anext__(self) -> rtc.AudioFrame:
        now = time.monotonic()
        self._next = now if self._next is None else max(self._next + FRAME_SECONDS, now - _BEHIND)
        await asyncio.sleep(self._next - now)
        if not self._frames:
            return to_frame(bytes(FRAME_BYTES))
        frame = self._frames.popleft()
        if not self._frames and self._spoken is not None and not self._spoken.done():
            self._spoken.set_result(time.monotonic())
        return to_frame(frame)
