"""Whether a worker grows while calls come and go: memory, threads, file descriptors and tasks, per 100 calls.

    nox -s soak [-- MINUTES]                     # 30 by default; the tests run an eighth of a minute of it

A real LiveKit server, one worker in coroutine mode, and callers in this process who join, hear the agent's answer,
and leave; so many lines of calls at once that both cores have something to do. The first part of the calls fills
caches and is left out of the slopes. The longest wait for an answer and the number of lost calls are reported too.
It ends with 1 when a call was lost, or when something is left of the calls.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from livekit import api, rtc

from openrtc.model.dispatch_names import HANGS_UP_ATTRIBUTE
from openrtc.server import LocalServer

LINES = 2
STAY_SECONDS = 1.0
ANSWER_LIMIT = 30.0
WARM_UP = 0.2
MEASURED = {"memory_mb": "MB", "threads": "", "files": "", "tasks": ""}
FIRST = 2
ENDS_SECONDS = 60.0
MAY_STAY = 2
"""How many more threads, files or tasks there may be than after the first calls, where threads are made as needed."""
MANY = 500
MEMORY_MB = 3.0
"""How much memory may grow per 100 calls, where they are many: of fewer it is mostly caches that fill."""

PACKAGE = """
import asyncio
import json
import os

import numpy as np
import psutil
from livekit import rtc
from livekit.agents import Agent
from openrtc import AgentSpec, hookimpl

RATE = 24_000
CHUNK = RATE // 20
served = 0


async def tone():
    for index in range(60):
        times = (np.arange(CHUNK) + index * CHUNK) / RATE
        samples = (np.sin(2 * np.pi * 440 * times) * 9000).astype(np.int16)
        yield rtc.AudioFrame(samples.tobytes(), RATE, 1, CHUNK)
        await asyncio.sleep(0.04)


class Soaked(Agent):
    def __init__(self):
        super().__init__(instructions="You play a tone.")

    async def on_enter(self):
        self.session.say("tone", audio=tone())


@hookimpl
def openrtc_agents():
    return [AgentSpec(name="soaked", agent=Soaked)]


@hookimpl
async def openrtc_session_ended(call, reason):
    global served
    served += 1
    process = psutil.Process()
    sample = {
        "calls": served,
        "memory_mb": process.memory_info().rss / 1e6,
        "threads": process.num_threads(),
        "files": process.num_fds(),
        "tasks": len(asyncio.all_tasks()),
    }
    with open(os.environ["SOAK_SAMPLES"], "a") as file:
        file.write(json.dumps(sample) + "\\n")
"""


async def main(minutes: float) -> list[str]:
    """Run the calls, print the table and return what is wrong."""
    with tempfile.TemporaryDirectory() as name, LocalServer(port=0) as server:
        folder = Path(name)
        samples = folder / "samples"
        worker = start_worker(server, folder, samples)
        try:
            # The first calls, one after the other, are what the last one is compared with.
            answers = [await call(server, f"soaked-first-{number}") for number in range(FIRST)]
            await asyncio.to_thread(wait_for_ends, samples, FIRST)
            answers += await run_calls(server, minutes * 60)
            await asyncio.to_thread(wait_for_ends, samples, len(answers))
            # One more, alone as the first ones were: what others that end have is not yet gone at the end of a call.
            answers.append(await call(server, "soaked-last"))
            await asyncio.to_thread(wait_for_ends, samples, len(answers))
        finally:
            worker.terminate()
            worker.wait(60)
        found = [json.loads(line) for line in samples.read_text().splitlines()]
        report(found[round(len(found) * WARM_UP) :], answers)
        return [*find_lost(answers), *find_growth(found)]


def start_worker(server: LocalServer, folder: Path, samples: Path) -> subprocess.Popen[bytes]:
    """Start a worker that knows the soaked agent only."""
    (folder / "soaked_agents.py").write_text(PACKAGE)
    info = folder / "soaked_agents-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: soaked-agents\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[openrtc.plugins]\nsoaked = soaked_agents\n")
    variables = {
        "PYTHONPATH": str(folder),
        "SOAK_SAMPLES": str(samples),
        "LIVEKIT_URL": server.url,
        "LIVEKIT_API_KEY": server.api_key,
        "LIVEKIT_API_SECRET": server.api_secret,
    }
    command = [sys.executable, "-m", "openrtc", "start", "--allow", "soaked-agents", "--port", "0"]
    log = folder / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(command, env={**os.environ, **variables}, stderr=output)
    while "registered worker" not in log.read_text():
        if worker.poll() is not None:
            raise SystemExit(log.read_text())
        time.sleep(0.1)
    return worker


async def run_calls(server: LocalServer, seconds: float) -> list[float | None]:
    """Return how long each caller waited for an answer; None where there was none."""
    answers: list[float | None] = []
    until = time.monotonic() + seconds

    async def line(number: int) -> None:
        turn = 0
        while time.monotonic() < until:
            answers.append(await call(server, f"soaked-{number}-{turn}"))
            turn += 1

    await asyncio.gather(*(line(number) for number in range(LINES)))
    return answers


async def call(server: LocalServer, room_name: str) -> float | None:
    """Join a room, wait for the agent's voice, stay a little, and leave."""
    grants = api.VideoGrants(room_join=True, room=room_name)
    token = api.AccessToken(server.api_key, server.api_secret).with_identity("caller").with_grants(grants)
    token = token.with_attributes({HANGS_UP_ATTRIBUTE: "true"})  # else the agent waits for the caller to come back
    room, heard = rtc.Room(), asyncio.Event()
    listening: list[asyncio.Task[None]] = []

    @room.on("track_subscribed")
    def subscribed(track: rtc.Track, *_: object) -> None:
        listening.append(asyncio.create_task(listen(track, heard)))

    await room.connect(server.url, token.to_jwt())
    source = rtc.AudioSource(48_000, 1)
    await room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("microphone", source))
    joined = time.monotonic()
    try:
        await asyncio.wait_for(heard.wait(), ANSWER_LIMIT)
        waited = time.monotonic() - joined
        await asyncio.sleep(STAY_SECONDS)
        return waited
    except TimeoutError:
        return None
    finally:
        await room.disconnect()
        for task in listening:
            task.cancel()
        await source.aclose()


async def listen(track: rtc.Track, heard: asyncio.Event) -> None:
    """Set ``heard`` at the first loud frame."""
    stream = rtc.AudioStream(track, sample_rate=16_000, num_channels=1)
    try:
        async for event in stream:
            if np.abs(np.frombuffer(event.frame.data, dtype=np.int16)).max() > 1000:
                heard.set()
    finally:
        await stream.aclose()


def wait_for_ends(samples: Path, calls: int) -> None:
    """Wait until as many calls have ended; a room that its caller has left keeps its agent for 20 seconds."""
    until = time.monotonic() + ENDS_SECONDS
    while time.monotonic() < until and (not samples.exists() or len(samples.read_text().splitlines()) < calls):
        time.sleep(0.2)


def report(settled: list[dict[str, float]], answers: list[float | None]) -> None:
    """Print the slopes."""
    waits = sorted(wait for wait in answers if wait is not None)
    print(f"{len(answers)} calls, {len(answers) - len(waits)} without an answer")
    if waits:
        print(f"answer after {waits[len(waits) // 2]:.2f} s (median), {waits[-1]:.2f} s (longest)")
    print(f"\n{'':>12}{'first':>10}{'last':>10}{'per 100 calls':>16}")
    for name, unit in MEASURED.items():
        values = [sample[name] for sample in settled]
        print(f"{name:>12}{values[0]:>10.1f}{values[-1]:>10.1f}{slope(settled, name):>+16.3f} {unit}")


def slope(samples: list[dict[str, float]], name: str) -> float:
    """Return by how much something grows per 100 calls."""
    calls = [sample["calls"] for sample in samples]
    return float(np.polyfit(calls, [sample[name] for sample in samples], 1)[0]) * 100


def find_lost(answers: list[float | None]) -> list[str]:
    """Say how many callers heard nothing."""
    lost = answers.count(None)
    return [f"{lost} of {len(answers)} callers heard nothing"] if lost or not answers else []


def find_growth(samples: list[dict[str, float]]) -> list[str]:
    """Say what stays of calls that have ended."""
    before, after = samples[FIRST - 1], samples[-1]
    wrong = [
        f"{name}: {before[name]} after the first calls, {after[name]} after all"
        for name in ("threads", "files", "tasks")
        if after[name] > before[name] + MAY_STAY
    ]
    if len(samples) > MANY and (grows := slope(samples, "memory_mb")) > MEMORY_MB:
        wrong.append(f"memory grows by {grows:.1f} MB per 100 calls")
    return wrong


if __name__ == "__main__":
    sys.exit("\n".join(asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0))) or None)
