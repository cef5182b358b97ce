"""How long a dispatch takes until the agent is in the room and is heard: OpenRTC beside a bare livekit-agents worker.

Usage: ``python benchmarks/dispatch_latency.py [--rounds 40]``. It starts a LiveKit server and both workers on this
machine and dispatches to them in turn, in one run: what else happens on the machine happens to both. A caller waits in
each room; the agent plays a tone as soon as its session has started. The bare worker runs its jobs in threads, four
of which wait, prewarmed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

import numpy as np
from livekit import api, rtc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess, openrtc_worker
from openrtc.server import LocalServer

OURS, BARE = "openrtc", "bare"
ROOM_SECONDS = 0.3
"""Pause in which the agent before leaves."""

LOUD = 400
BARE_WORKER = """
    import asyncio
    import logging

    from livekit.agents import AgentServer, AgentSession, JobContext, JobExecutorType
    from tone_agents import Beta


    async def entry(context: JobContext) -> None:
        await context.connect()
        await AgentSession().start(Beta(), room=context.room)


    logging.basicConfig(level=logging.INFO)
    # The processor's load, which it reports by default, would keep it from being asked on a busy machine.
    kept = {"load_threshold": float("inf"), "load_fnc": lambda: 0.0, "num_idle_processes": 4}
    server = AgentServer(job_executor_type=JobExecutorType.THREAD, host="127.0.0.1", port=0, **kept)
    server.rtc_session(entry, agent_name="bare")
    asyncio.run(server.run())
"""
STEPS = ("API answers", "agent joined", "first audio")


def main() -> None:
    """Print median and 95th percentile of each step for both workers, and what OpenRTC adds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()
    with LocalServer(port=0) as server, tempfile.TemporaryDirectory() as folder:
        packages = TONE_AGENTS.install_into(Path(folder) / "packages")
        script = Path(folder) / "bare.py"
        script.write_text(dedent(BARE_WORKER))
        livekit = ServerApi(server.url, server.api_key, server.api_secret)
        options = ("--agent-name", OURS, "--allow", TONE_AGENTS.name, "--metrics-jsonl", f"{folder}/events.jsonl")
        with (
            openrtc_worker(livekit, Path(folder) / "ours.log", *options, folders=[packages]) as ours,
            WorkerProcess([str(script)], api=livekit, log=Path(folder) / "bare.log", folders=[packages]) as bare,
        ):
            ours.wait_until_ready()
            bare.wait_until_ready()
            taken = asyncio.run(measure(livekit, args.rounds))
        print_table(taken, routing_ms(Path(folder) / "events.jsonl"))


async def measure(livekit: ServerApi, rounds: int) -> dict[str, list[Sequence[float]]]:
    """Return the seconds of each step in each round, for both workers; a first round of each is left out."""
    taken: dict[str, list[Sequence[float]]] = {OURS: [], BARE: []}
    async with api.LiveKitAPI(livekit.url, livekit.key, livekit.secret) as lk:
        for number in range(-1, rounds):
            for name in (OURS, BARE) if number % 2 else (BARE, OURS):
                steps = await one_call(livekit, lk, name, f"beta-{name}-{number}")
                if number >= 0:
                    taken[name].append(steps)
                await asyncio.sleep(ROOM_SECONDS)
    return taken


async def one_call(livekit: ServerApi, lk: api.LiveKitAPI, name: str, room_name: str) -> Sequence[float]:
    """Dispatch to a room in which a caller waits; return the seconds of each step."""
    room, moments, listening = rtc.Room(), dict[str, float](), set[asyncio.Task[None]]()
    heard = asyncio.Event()

    def subscribed(track: rtc.Track, *_: object) -> None:
        listening.add(asyncio.create_task(listen(track, lambda: (moments.setdefault("heard", now()), heard.set()))))

    room.on("participant_connected", lambda _: moments.setdefault("joined", now()))
    room.on("track_subscribed", subscribed)
    await room.connect(livekit.url, livekit.token(room_name, "caller"))
    await asyncio.sleep(0.1)
    began = now()
    await lk.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(agent_name=name, room=room_name))
    answered = now()
    try:
        await asyncio.wait_for(heard.wait(), 30.0)
    except TimeoutError:
        raise SystemExit(f"{name} was not heard in {room_name}; so far: {moments}") from None
    for task in listening:
        task.cancel()
    await room.disconnect()
    await lk.room.delete_room(api.DeleteRoomRequest(room=room_name))
    return answered - began, moments["joined"] - began, moments["heard"] - began


async def listen(track: rtc.Track, loud: Callable[[], object]) -> None:
    """Call ``loud`` when there is sound in a track."""
    async for event in rtc.AudioStream(track, sample_rate=16_000, num_channels=1):
        samples = np.frombuffer(event.frame.data, dtype=np.int16).astype(np.int32)
        if np.abs(samples).max() > LOUD:
            loud()


def now() -> float:
    """Return the time on the monotonic clock."""
    return time.perf_counter()


def routing_ms(events: Path) -> list[float]:
    """Return how long the worker took to choose the agent of each call."""
    emitted = [json.loads(line) for line in events.read_text().splitlines()]
    return [event["ms"] for event in emitted if event["event"] == "call_routed"]


def print_table(taken: dict[str, list[Sequence[float]]], routing: list[float]) -> None:
    """Print a line for each worker and step."""
    print(f"{len(taken[OURS])} dispatches each, one after the other, in turn; milliseconds\n")
    print(f"{'':14}{'openrtc':>10}{'p95':>8}{'bare':>10}{'p95':>8}{'adds':>10}{'p95':>8}")
    for number, step in enumerate(STEPS):
        ours, bare = ([steps[number] * 1000 for steps in taken[name]] for name in (OURS, BARE))
        medians, tails = [statistics.median(one) for one in (ours, bare)], [p95(one) for one in (ours, bare)]
        added = f"{medians[0] - medians[1]:+10.1f}{tails[0] - tails[1]:+8.1f}"
        print(f"{step:14}{medians[0]:10.1f}{tails[0]:8.1f}{medians[1]:10.1f}{tails[1]:8.1f}{added}")
    print(f"\nrouting itself: median {statistics.median(routing):.2f} ms, p95 {p95(routing):.2f} ms")


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
