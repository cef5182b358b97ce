"""The callers: each talks for about 3 s, then listens for 4.6 s, over and over, at other times than the others.

    python load.py CALLS --run NAME --speech FILE

It prints ``READY`` when every caller has heard a first reply (or after 30 s), goes on until a line comes on its
standard input, and prints what the callers heard as one line of JSON. It is the same for every worker.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from livekit import api, rtc
from speech import RATE, Samples, read_speech

from openrtc.speedups import events

AGENT = "bench"
CHUNK_SECONDS = 0.1
CHUNK = int(RATE * CHUNK_SECONDS)
LISTEN_SECONDS = 4.6
FRAME_SECONDS = 0.02
LOUD = 1500
"""Peak of a frame from which on it counts as the agent's speech."""
HOLE_SECONDS = 0.04
LATE_SECONDS = 0.5
FIRST_REPLY_SECONDS = 30.0
APART_SECONDS = 0.4
PHASE_SECONDS = 0.93


@dataclass
class Turn:
    """What a caller said, and what it heard.

    Args:
        spoken: End of the caller's speech on the monotonic clock.
        heard: When the reply began to be heard; None when there was none.
        loud: Seconds of the reply.
        holes: How often it was interrupted for `HOLE_SECONDS` or more.
    """

    spoken: float
    heard: float | None = None
    loud: float = 0.0
    holes: int = 0


@dataclass
class Caller:
    """One caller.

    Args:
        number: Which one it is; it begins to speak later, the higher that is.
        room: Name of its room.
        sentences: What it says.
    """

    number: int
    room: str
    sentences: list[Samples]
    turns: list[Turn] = field(default_factory=list)
    joined: float | None = None
    late: int = 0
    talking: bool = False

    def __post_init__(self) -> None:
        self.answered = asyncio.Event()
        self._connection = rtc.Room()
        self._tasks: list[asyncio.Task[None]] = []
        self._silent = 0.0

    async def start(self, server: api.LiveKitAPI) -> None:
        """Ask for an agent, join the room and begin to talk."""
        began = time.monotonic()
        await server.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(agent_name=AGENT, room=self.room))

        def subscribed(track: rtc.Track, *_: Any) -> None:
            if track.kind == rtc.TrackKind.KIND_AUDIO:
                self.joined = self.joined or time.monotonic() - began
                self._tasks.append(asyncio.create_task(self._listen(track)))

        self._connection.on("track_subscribed", subscribed)
        grants = api.VideoGrants(room_join=True, room=self.room)
        token = api.AccessToken().with_identity(f"caller-{self.number}").with_grants(grants).to_jwt()
        await self._connection.connect(os.environ["LIVEKIT_URL"], token)
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=1000)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self._connection.local_participant.publish_track(track, options)
        self._tasks.append(asyncio.create_task(self._talk()))

    async def stop(self) -> None:
        """Hang up."""
        for task in self._tasks:
            task.cancel()
        await self._connection.disconnect()

    async def _talk(self) -> None:
        noise = (np.random.default_rng(self.number).standard_normal(RATE * 2) * 12).astype(np.int16)
        rest = np.resize(noise, int(RATE * (1 + self.number * PHASE_SECONDS % 7)))
        clock = time.monotonic()
        for turn in range(self.number, 1_000_000):
            said = self.sentences[turn % len(self.sentences)]
            audio = np.concatenate([rest, said, np.resize(noise, int(RATE * LISTEN_SECONDS))])
            starts, ends = clock + len(rest) / RATE, clock + (len(rest) + len(said)) / RATE
            whole = len(audio) // CHUNK * CHUNK
            clock = await self._say(audio[:whole], clock, starts, ends)
            rest = audio[whole:]

    async def _say(self, audio: Samples, clock: float, starts: float, ends: float) -> float:
        reported = False
        for at in range(0, len(audio), CHUNK):
            now = time.monotonic()
            if clock > now:
                await asyncio.sleep(clock - now)
            elif now - clock > LATE_SECONDS:  # these callers are too slow: their clock goes on from here
                self.late += 1
                ends, clock = ends + now - clock, now
            heard_until = clock + CHUNK_SECONDS
            self.talking = starts <= heard_until < ends
            if heard_until >= ends and not reported:
                reported = True
                self.turns.append(Turn(ends))
            await self._source.capture_frame(rtc.AudioFrame(audio[at : at + CHUNK].tobytes(), RATE, 1, CHUNK))
            clock += CHUNK_SECONDS
        return clock

    async def _listen(self, track: rtc.Track) -> None:
        frame_ms = int(FRAME_SECONDS * 1000)
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=frame_ms):
            if np.abs(np.frombuffer(event.frame.data, np.int16)).max(initial=0) < LOUD:
                self._silent += FRAME_SECONDS
                continue
            hole, self._silent = self._silent, 0.0
            now = time.monotonic()
            if self.turns and not self.talking and now >= self.turns[-1].spoken:
                self._hear(self.turns[-1], now, hole)

    def _hear(self, turn: Turn, now: float, hole: float) -> None:
        if turn.heard is None:
            turn.heard = now - FRAME_SECONDS
            self.answered.set()
        elif hole >= HOLE_SECONDS:
            turn.holes += 1
        turn.loud += FRAME_SECONDS


async def wait_for_stop() -> None:
    """Wait for a line on the standard input."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.readline()


async def run(calls: int, name: str, speech: Path) -> dict[str, Any]:
    """Run the callers until stopped; returns what they heard."""
    events.install()
    sentences = read_speech(speech)
    async with api.LiveKitAPI() as server:
        callers = [Caller(number, f"{name}-{number}", sentences) for number in range(calls)]
        starting = []
        for caller in callers:
            starting.append(asyncio.create_task(caller.start(server)))
            await asyncio.sleep(APART_SECONDS)
        await asyncio.gather(*starting)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_REPLY_SECONDS):
                await asyncio.gather(*(caller.answered.wait() for caller in callers))
        print("READY", flush=True)
        await wait_for_stop()
        turns = [asdict(turn) for caller in callers for turn in caller.turns]
        await asyncio.gather(*(caller.stop() for caller in callers), return_exceptions=True)
        for caller in callers:
            with contextlib.suppress(api.TwirpError):
                await server.room.delete_room(api.DeleteRoomRequest(room=caller.room))
    return {"turns": turns, "join": [c.joined for c in callers], "late": sum(c.late for c in callers)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("calls", type=int)
    parser.add_argument("--run", required=True)
    parser.add_argument("--speech", type=Path, required=True)
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(run(arguments.calls, arguments.run, arguments.speech))), flush=True)
