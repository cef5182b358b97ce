"""`Microphone` and `Loudspeaker`: audio for a session without a room, in real time."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from livekit import rtc
from livekit.agents.voice import io

from openrtc.conversation.sound import FRAME_BYTES, FRAME_SECONDS, first_loud_second, frames, to_frame

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


class Loudspeaker(io.AudioOutput):
    """Takes the agent's speech and plays it, unheard, in real time; notes when sound began."""

    def __init__(self) -> None:
        super().__init__(label="scripted caller", capabilities=io.AudioOutputCapabilities(pause=False))
        self.heard_at: list[float] = []
        self.pcm = bytearray()
        self.rate = 0
        self._started: float | None = None
        self._seconds = 0.0
        self._silent = True
        self._playing: asyncio.Task[None] | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Take a frame; frames come faster than they are played."""
        await super().capture_frame(frame)
        if self._started is None:
            self._started = time.monotonic()
            self.on_playback_started(created_at=time.time())
        if self._silent and (loud := first_loud_second(bytes(frame.data), frame.sample_rate)) is not None:
            self._silent = False
            self.heard_at.append(max(time.monotonic(), self._started + self._seconds) + loud)
        self._seconds += frame.duration
        self.rate = frame.sample_rate
        self.pcm.extend(frame.data)

    def flush(self) -> None:
        """The utterance is complete: it ends when it has been played."""
        super().flush()
        if self._started is None:
            return
        ends, seconds = self._started + self._seconds, self._seconds
        self._playing = asyncio.create_task(self._finish(ends, seconds))
        self._reset()

    def clear_buffer(self) -> None:
        """Stop playing at once: the caller has interrupted."""
        if self._playing is not None and not self._playing.done():
            self._playing.cancel()
            self._playing = None
            self.on_playback_finished(playback_position=0.0, interrupted=True)
        if self._started is not None:
            played = min(self._seconds, time.monotonic() - self._started)
            self._reset()
            super().flush()
            self.on_playback_finished(playback_position=played, interrupted=True)

    async def _finish(self, ends: float, seconds: float) -> None:
        await asyncio.sleep(max(0.0, ends - time.monotonic()))
        self.on_playback_finished(playback_position=seconds, interrupted=False)

    def _reset(self) -> None:
        self._started, self._seconds, self._silent = None, 0.0, True
