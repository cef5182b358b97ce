"""`Loudspeaker`: where a session without a room speaks to, in real time."""

from __future__ import annotations

import asyncio
import time

from livekit import rtc
from livekit.agents.voice import io

from openrtc.conversation.sound import first_loud_second

_STEP = 0.02


class Loudspeaker(io.AudioOutput):
    """Takes the agent's speech and plays it, unheard, in real time; notes when sound began."""

    def __init__(self) -> None:
        super().__init__(label="scripted caller", capabilities=io.AudioOutputCapabilities(pause=True))
        self.heard_at: list[float] = []
        self.pcm = bytearray()
        self.rate = 0
        self._started: float | None = None
        self._paused_at: float | None = None
        self._seconds = 0.0
        self._silent = True
        self._playing: asyncio.Task[None] | None = None

    @property
    def _position(self) -> float:
        """How many seconds of the utterance have been played."""
        if self._started is None:
            return 0.0
        return min(self._seconds, (self._paused_at or time.monotonic()) - self._started)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Take a frame; frames come faster than they are played."""
        if self._playing is not None:
            await asyncio.wait({self._playing})  # the utterance before is still to be heard
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
        if self._started is not None and self._playing is None:
            self._playing = asyncio.create_task(self._play())

    def clear_buffer(self) -> None:
        """Stop playing at once: the caller has interrupted."""
        if self._playing is not None:
            self._playing.cancel()
        if self._started is not None:
            super().flush()
            self._end(interrupted=True)

    def pause(self) -> None:
        """Hold on: perhaps the caller interrupts."""
        self._paused_at = self._paused_at or time.monotonic()

    def resume(self) -> None:
        """Go on: the caller did not."""
        if self._paused_at is not None and self._started is not None:
            self._started += time.monotonic() - self._paused_at
        self._paused_at = None

    async def _play(self) -> None:
        while self._position < self._seconds:  # noqa: ASYNC110 - the clock may be held meanwhile
            await asyncio.sleep(_STEP)
        self._end(interrupted=False)

    def _end(self, *, interrupted: bool) -> None:
        played = self._position
        self._playing, self._started, self._paused_at = None, None, None
        self._seconds, self._silent = 0.0, True
        self.on_playback_finished(playback_position=played, interrupted=interrupted)
