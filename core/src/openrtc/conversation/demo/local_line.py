"""`SpokenLine`: a scripted caller and an agent that speak to each other without a server."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession, tts
from livekit.agents.voice import io

from openrtc.conversation.demo.caller import CallLine
from openrtc.conversation.speech import (
    FRAME_BYTES,
    FRAME_SECONDS,
    build_frame,
    find_first_sound,
    split_frames,
    synthesize,
)

_STEP = 0.02
"""Seconds between two looks whether an utterance has been played: a frame."""

_BEHIND = 0.2
"""By how many seconds frames may be late before the clock is set anew, instead of catching up in a burst."""


class Loudspeaker(io.AudioOutput):
    """Takes the agent's speech and plays it, unheard, in real time; notes when sound began."""

    def __init__(self) -> None:
        super().__init__(label="scripted caller", capabilities=io.AudioOutputCapabilities(pause=True))
        self.heard_at: list[float] = []
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
        if self._silent and (loud := find_first_sound(bytes(frame.data), frame.sample_rate)) is not None:
            self._silent = False
            self.heard_at.append(max(time.monotonic(), self._started + self._seconds) + loud)
        self._seconds += frame.duration

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
        self._frames.extend(split_frames(pcm))
        self._spoken = asyncio.get_running_loop().create_future()
        return await self._spoken

    async def __anext__(self) -> rtc.AudioFrame:
        now = time.monotonic()
        self._next = now if self._next is None else max(self._next + FRAME_SECONDS, now - _BEHIND)
        await asyncio.sleep(self._next - now)
        if not self._frames:
            return build_frame(bytes(FRAME_BYTES))
        frame = self._frames.popleft()
        if not self._frames and self._spoken is not None and not self._spoken.done():
            self._spoken.set_result(time.monotonic())
        return build_frame(frame)


class SpokenLine(CallLine):
    """Connects a scripted caller with an agent by audio, in this process.

    Args:
        session: The agent's session; it has not started yet.
        voice: The caller's voice.
    """

    patience = 0.5  # longer than the pauses between the sentences of an answer

    def __init__(self, session: AgentSession[Any], voice: tts.TTS[Any]) -> None:
        super().__init__()
        self.microphone = Microphone()
        self.loudspeaker = Loudspeaker()
        self.heard_at = self.loudspeaker.heard_at
        self._voice = voice
        session.input.audio = self.microphone
        session.output.audio = self.loudspeaker

    async def say(self, question: str) -> float:
        """Speak a sentence."""
        return await self.microphone.say(await synthesize(self._voice, question))

    async def aclose(self) -> None:
        """Nothing to close: the session owns both ends."""
