"""A caller in a process of its own, in a room of the real server, when there is one; another participant answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from livekit import api, rtc
from livekit.agents import tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

from openrtc.conversation.demo.room_line import CallersProcess, start_callers_process
from openrtc.conversation.speech import LOUD, RATE
from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.tokens import create_token
from openrtc.errors import OpenRTCError
from openrtc.server.local import LocalServer
from openrtc.settings.config import WorkerSettings

# One process of callers for both tests: it imports livekit-agents.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.process]

ROOM = "answering-machine"


class Voice(tts.TTS[Any]):
    """Stands for a paid voice: one second of a tone."""

    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1)

    def synthesize(self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> tts.ChunkedStream:
        return VoiceStream(tts=self, input_text=text, conn_options=conn_options)


class VoiceStream(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(request_id=utils.shortuuid(), sample_rate=RATE, num_channels=1, mime_type="audio/pcm")
        output_emitter.push(tone(1.0))
        output_emitter.flush()


def tone(seconds: float) -> bytes:
    moments = np.arange(int(seconds * RATE)) / RATE
    return (8000 * np.sin(2 * np.pi * 440 * moments)).astype(np.int16).tobytes()


@pytest.fixture(scope="module")
def settings() -> Iterator[WorkerSettings]:
    """Where a LiveKit server runs."""
    with LocalServer(port=0) as server:
        yield WorkerSettings(url=server.url, api_key=server.api_key, api_secret=server.api_secret)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def callers() -> AsyncIterator[CallersProcess]:
    """The process."""
    async with start_callers_process(Voice()) as callers:
        yield callers


def token_for(settings: WorkerSettings) -> str:
    return create_token("caller", ROOM, connection=LiveKitConnection.of(settings))


async def test_a_caller_speaks_and_is_answered_through_a_room(
    settings: WorkerSettings, callers: CallersProcess
) -> None:
    machine = AnsweringMachine()
    await machine.join(settings)
    line = callers.open_line(ROOM)
    await line.join(settings.url, token_for(settings))
    await asyncio.wait_for(line.wait_for_audio(), 20)
    spoken = await asyncio.wait_for(line.say("hello"), 20)
    assert abs(time.monotonic() - spoken) < 2.0
    await asyncio.wait_for(machine.answered.wait(), 20)
    await asyncio.sleep(0.7)
    heard = line.first_answer_after(spoken)
    assert heard is not None
    assert spoken < heard < time.monotonic()
    await line.aclose()
    assert machine.seconds_heard > 0.7
    await machine.room.disconnect()


async def test_a_wrong_key_is_an_error_in_one_line(settings: WorkerSettings, callers: CallersProcess) -> None:
    forged = WorkerSettings(url=settings.url, api_key=settings.api_key, api_secret="another secret of 32 letters!!!!")
    line = callers.open_line(ROOM)
    with pytest.raises(OpenRTCError, match="the caller could not join the room"):
        await asyncio.wait_for(line.join(forged.url, token_for(forged)), 60)


class AnsweringMachine:
    """A participant who, once a tone has ended, sends one back."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.answered = asyncio.Event()
        self.seconds_heard = 0.0
        self._source = rtc.AudioSource(RATE, 1)
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("track_subscribed", lambda track, *_: self._tasks.append(asyncio.create_task(self._listen(track))))

    async def join(self, settings: WorkerSettings) -> None:
        token = api.AccessToken(settings.api_key, settings.api_secret).with_identity("machine")
        await self.room.connect(settings.url, token.with_grants(api.VideoGrants(room_join=True, room=ROOM)).to_jwt())
        track = rtc.LocalAudioTrack.create_audio_track("machine", self._source)
        await self.room.local_participant.publish_track(track)

    async def _listen(self, track: rtc.Track) -> None:
        quiet = 0.0
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            loud = np.abs(np.frombuffer(event.frame.data, dtype=np.int16).astype(int)).max() > LOUD
            self.seconds_heard += event.frame.duration if loud else 0.0
            quiet = 0.0 if loud else quiet + event.frame.duration
            if self.seconds_heard > 0.5 and quiet > 0.3:
                await self._source.capture_frame(rtc.AudioFrame(tone(0.5), RATE, 1, RATE // 2))
                self.answered.set()
                return
