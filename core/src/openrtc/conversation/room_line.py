"""`RoomLine`: a scripted caller who joins a LiveKit room and speaks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import Any

import numpy as np
from livekit import api, rtc
from livekit.agents import tts

from openrtc.config import WorkerSettings
from openrtc.conversation.sound import FRAME_BYTES, LOUD, RATE, frames, synthesize, to_frame

_QUEUE_MS = 100


class RoomLine:
    """Connects a scripted caller with an agent through a LiveKit room.

    Args:
        voice: The caller's voice.
    """

    patience = 0.6

    def __init__(self, voice: tts.TTS) -> None:
        self._voice = voice
        self._room = rtc.Room()
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=_QUEUE_MS)
        self._frames: deque[bytes] = deque()
        self._spoken: asyncio.Future[float] | None = None
        self._heard_at: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._room.on("track_subscribed", self._subscribed)

    async def join(self, url: str, token: str) -> None:
        """Join the room and publish the caller's audio: silence until there is something to say."""
        await self._room.connect(url, token)
        track = rtc.LocalAudioTrack.create_audio_track("caller", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self._room.local_participant.publish_track(track, options)
        self._tasks.append(asyncio.create_task(self._send(), name="caller"))

    async def say(self, question: str) -> float:
        """Speak a sentence."""
        pcm = await synthesize(self._voice, question)
        self._spoken = asyncio.get_running_loop().create_future()
        self._frames.extend(frames(pcm))
        return await self._spoken

    def first_answer_after(self, moment: float) -> float | None:
        """Return when the agent's voice was first heard after a moment."""
        return next((at for at in self._heard_at if at >= moment), None)

    async def aclose(self) -> None:
        """Leave the room."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._room.disconnect()
        await self._source.aclose()

    async def _send(self) -> None:
        while True:
            frame = self._frames.popleft() if self._frames else bytes(FRAME_BYTES)
            await self._source.capture_frame(to_frame(frame))
            if self._spoken is not None and not self._spoken.done() and not self._frames:
                self._spoken.set_result(time.monotonic() + self._source.queued_duration)

    def _subscribed(self, track: rtc.Track, *_: Any) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._tasks.append(asyncio.create_task(self._listen(track), name="caller-listens"))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        async with contextlib.aclosing(stream):
            async for event in stream:
                if np.abs(np.frombuffer(event.frame.data, dtype=np.int16).astype(np.int32)).max() > LOUD:
                    self._heard_at.append(time.monotonic())


def caller_token(settings: WorkerSettings, room: str, *, agent_name: str, metadata: str) -> str:
    """Return a caller's token; the room that it opens asks for an agent.

    Args:
        settings: API key and secret.
        room: Name of the room.
        agent_name: The name that the worker is registered under; empty for automatic dispatch.
        metadata: Metadata of the dispatch.
    """
    token = api.AccessToken(settings.api_key, settings.api_secret).with_identity("caller").with_name("Caller")
    token = token.with_grants(api.VideoGrants(room_join=True, room=room))
    if agent_name or metadata:
        dispatch = api.RoomAgentDispatch(agent_name=agent_name, metadata=metadata)
        token = token.with_room_config(api.RoomConfiguration(agents=[dispatch]))
    return token.to_jwt()
