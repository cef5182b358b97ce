"""The floor: livekit's WebRTC library and the voice activity model alone, without livekit-agents.

It hears and speaks the same audio with the same turns, and joins the rooms of its run by itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from livekit import api, rtc
from livekit.local_inference import VAD, VAD_WINDOW_SAMPLES

from openrtc.speedups import events
from openrtc.speedups.uvloop import new_event_loop

RATE, HEARD_RATE = 24000, 16000
WINDOW_SECONDS = VAD_WINDOW_SAMPLES / HEARD_RATE
PIECE = RATE // 20
SOUND = (np.sin(2 * np.pi * 180 * np.arange(RATE * 3) / RATE) * 12000).astype(np.int16)
talking: set[asyncio.Task[None]] = set()


async def reply(source: rtc.AudioSource) -> None:
    """Say three seconds of sound, after as long as the models of the other workers take for their first sound."""
    await asyncio.sleep(0.1)
    for at in range(0, len(SOUND), PIECE):
        await source.capture_frame(rtc.AudioFrame(SOUND[at : at + PIECE].tobytes(), RATE, 1, PIECE))


async def listen(track: rtc.Track, source: rtc.AudioSource) -> None:
    """Reply whenever somebody has spoken."""
    model, buffer, loud, quiet = VAD(), np.empty(0, np.int16), 0.0, 0.0
    async for event in rtc.AudioStream(track, sample_rate=HEARD_RATE, num_channels=1, frame_size_ms=50):
        buffer = np.concatenate([buffer, np.frombuffer(event.frame.data, np.int16)])
        while len(buffer) >= VAD_WINDOW_SAMPLES:
            speech = model.predict(buffer[:VAD_WINDOW_SAMPLES]) > 0.5
            buffer = buffer[VAD_WINDOW_SAMPLES:]
            loud, quiet = (loud + WINDOW_SECONDS, 0.0) if speech else (loud, quiet + WINDOW_SECONDS)
        if loud > 0.3 and quiet > 0.55:
            loud = 0.0
            start(reply(source))


def start(coroutine: Any) -> None:
    """Start a task and keep it."""
    task = asyncio.create_task(coroutine)
    talking.add(task)
    task.add_done_callback(talking.discard)


async def join(name: str) -> None:
    """Hold one call."""
    grants = api.VideoGrants(room_join=True, room=name, agent=True)
    token = api.AccessToken().with_identity("agent").with_kind("agent").with_grants(grants).to_jwt()
    room, source = rtc.Room(), rtc.AudioSource(RATE, 1, queue_size_ms=200)
    room.on("track_subscribed", lambda track, *_: start(listen(track, source)))
    await room.connect(os.environ["LIVEKIT_URL"], token)
    track = rtc.LocalAudioTrack.create_audio_track("agent", source)
    await room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))
    await asyncio.Event().wait()


async def note_lag() -> None:
    """As in the agent of the other workers."""
    with (Path(os.environ["BENCH_LAG_FOLDER"]) / f"{os.getpid()}.lags").open("a", buffering=1) as file:
        while True:
            due = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            file.write(f"{time.monotonic():.2f} {(time.monotonic() - due) * 1e3:.3f}\n")


async def main() -> None:
    """Join each room of the run that has somebody in it."""
    start(note_lag())
    joined: set[str] = set()
    async with api.LiveKitAPI() as server:
        print("registered worker", flush=True)
        while True:
            for room in (await server.room.list_rooms(api.ListRoomsRequest())).rooms:
                if room.num_participants and room.name not in joined:
                    joined.add(room.name)
                    start(join(room.name))
            await asyncio.sleep(0.5 if len(joined) < int(os.environ["BENCH_CALLS"]) else 5.0)


events.install()
loop = new_event_loop(("uvloop",))
loop.run_until_complete(main())
