"""`RoomCaller`: a participant of a LiveKit room that speaks, and reports when it hears something."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from livekit import rtc

from openrtc.conversation.speech import FRAME_BYTES, RATE, build_frame, find_first_sound, split_frames

_QUEUE_MS = 100
"""Audio that may wait to be sent; livekit's default of a second would let the caller speak a second late."""

_PAUSE = 0.25
"""Seconds without sound after which sound counts as new."""


class RoomCaller:
    """A participant that speaks and listens.

    Args:
        on_event: Called with ``reached`` (there is somebody's audio), ``heard`` (after a pause there is sound) and
            ``spoken`` (what was to be said has been said), each with its moment on the monotonic clock.
    """

    def __init__(self, on_event: Callable[[str, float], None]) -> None:
        self._on_event = on_event
        self.room = rtc.Room()
        """The room; it is connected after `join`."""
        self.last_sound = 0.0
        """When there was sound last, on the monotonic clock; 0 when there was none."""
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=_QUEUE_MS)
        self._frames: deque[bytes] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("track_subscribed", self._on_track)

    async def join(self, url: str, token: str) -> None:
        """Join a room and publish audio: silence until there is something to say.

        Raises:
            rtc.ConnectError: The room cannot be joined.
        """
        await self.room.connect(url, token)
        track = rtc.LocalAudioTrack.create_audio_track("caller", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        self._tasks.append(asyncio.create_task(self._send(), name="caller-speaks"))

    def say(self, pcm: bytes) -> None:
        """Speak: 16 kHz, mono, 16 bit."""
        self._frames.extend(split_frames(pcm))

    async def leave(self) -> None:
        """Leave the room."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._source.aclose()  # what it still holds would be told of to a native library that has ended
        await self.room.disconnect()

    async def _send(self) -> None:
        while True:
            speaking = bool(self._frames)
            frame = self._frames.popleft() if speaking else bytes(FRAME_BYTES)
            await self._source.capture_frame(build_frame(frame))
            if speaking and not self._frames:
                # The last frame is queued, and heard only when the queue before it has been played.
                self._on_event("spoken", time.monotonic() + self._source.queued_duration)

    def _on_track(self, track: rtc.Track, *_: Any) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._on_event("reached", time.monotonic())
            self._tasks.append(asyncio.create_task(self._listen(track), name="caller-listens"))

    async def _listen(self, track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            if find_first_sound(bytes(event.frame.data)) is None:
                continue
            now = time.monotonic()
            if now - self.last_sound > _PAUSE:
                self._on_event("heard", now)
            self.last_sound = now
