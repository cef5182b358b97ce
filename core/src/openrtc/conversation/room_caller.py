"""`RoomCaller`: joins a LiveKit room, speaks, and tells when it hears something."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from livekit import rtc

from openrtc.conversation.sound import FRAME_BYTES, LOUD, RATE, frames, to_frame

_QUEUE_MS = 100
_PAUSE = 0.25
"""Seconds without sound after which sound counts as new."""


class RoomCaller:
    """A participant who speaks and listens.

    Args:
        tell: Called with ``reached`` (there is somebody's audio), ``heard`` (after a pause there is sound) and
            ``spoken`` (what was to be said has been said), each with its moment on the monotonic clock.
    """

    def __init__(self, tell: Callable[[str, float], None]) -> None:
        self._tell = tell
        self._room = rtc.Room()
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=_QUEUE_MS)
        self._frames: deque[bytes] = deque()
        self._last_sound = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._room.on("track_subscribed", self._subscribed)

    @property
    def room(self) -> rtc.Room:
        """The room; it is connected after `join`."""
        return self._room

    @property
    def last_sound(self) -> float:
        """When there was sound last, on the monotonic clock; 0 when there was none."""
        return self._last_sound

    async def join(self, url: str, token: str) -> None:
        """Join a room and publish audio: silence until there is something to say.

        Raises:
            rtc.ConnectError: The room cannot be joined.
        """
        await self._room.connect(url, token)
        track = rtc.LocalAudioTrack.create_audio_track("caller", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self._room.local_participant.publish_track(track, options)
        self._tasks.append(asyncio.create_task(self._send(), name="caller-speaks"))

    def say(self, pcm: bytes) -> None:
        """Speak: 16 kHz, mono, 16 bit."""
        self._frames.extend(frames(pcm))

    async def leave(self) -> None:
        """Leave the room."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._room.disconnect()

    async def _send(self) -> None:
        while True:
            speaking = bool(self._frames)
            frame = self._frames.popleft() if speaking else bytes(FRAME_BYTES)
            await self._source.capture_frame(to_frame(frame))
            if speaking and not self._frames:
                self._tell("spoken", time.monotonic() + self._source.queued_duration)

    def _subscribed(self, track: rtc.Track, *_: Any) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._tell("reached", time.monotonic())
            self._tasks.append(asyncio.create_task(self._listen(track), name="caller-listens"))

    async def _listen(self, track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            samples = np.frombuffer(event.frame.data, dtype=np.int16)
            if max(int(samples.max()), -int(samples.min())) > LOUD:
                self._sound(time.monotonic())

    def _sound(self, now: float) -> None:
        if now - self._last_sound > _PAUSE:
            self._tell("heard", now)
        self._last_sound = now
