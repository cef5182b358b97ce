"""What some faults of ``nox -s faults`` do to openrtc 0.20.1, another project of that name, beside one bystander.

It needs an environment of its own, since both import as ``openrtc``::

    python -m venv peer
    peer/bin/pip install "openrtc[livekit]==0.20.1" "typer<0.29" "livekit-agents==1.8.9"
    python benchmarks/peer_faults.py peer/bin/python

Run it with the Python of this project's tests. Its agents need no models; the turn detector, whose model would have to
be downloaded, is taken out of its worker. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from textwrap import dedent

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from e2e.callers import Caller, CallersProcess
from e2e.server_api import Dispatch, ServerApi
from e2e.worker import WorkerProcess
from faults.silence import silence_between
from openrtc.server import LocalServer

NAME = "peer"
BURST = 12
WATCHED = 20.0
"""Seconds for which a worker is watched after a fault: some end only after a while."""

AGENTS = """
    import asyncio
    import sys

    import livekit.plugins.turn_detector.multilingual
    import numpy as np
    from livekit import rtc
    from livekit.agents import Agent
    from livekit.agents.inference_runner import _InferenceRunner

    _InferenceRunner.registered_runners.clear()  # its model is not on this machine

    from openrtc import AgentPool

    RATE = 24_000
    CHUNK = RATE // 20


    async def tone(seconds):
        for index in range(round(seconds * RATE / CHUNK)):
            times = (np.arange(CHUNK) + index * CHUNK) / RATE
            samples = (np.sin(2 * np.pi * 440 * times) * 9000).astype(np.int16)
            yield rtc.AudioFrame(samples.tobytes(), RATE, 1, CHUNK)
            await asyncio.sleep(0.04)


    class Plain(Agent):
        def __init__(self):
            super().__init__(instructions="x")


    class Bystander(Plain):
        async def on_enter(self):
            self.session.say("tone", audio=tone(600))


    class InitRaises(Plain):
        def __init__(self):
            raise ValueError("no configuration")


    class InitExits(Plain):
        def __init__(self):
            sys.exit("no configuration")


    class EnterRaises(Plain):
        async def on_enter(self):
            raise ValueError("no configuration")


    class EnterExits(Plain):
        async def on_enter(self):
            sys.exit("no configuration")


    class TaskExits(Plain):
        async def on_enter(self):
            async def background():
                sys.exit("no configuration")
            self.task = asyncio.create_task(background())


    pool = AgentPool(agent_name="peer", isolation="coroutine")
    for name, agent in {
        "bystander": Bystander,
        "init-raises": InitRaises,
        "init-exits": InitExits,
        "enter-raises": EnterRaises,
        "enter-exits": EnterExits,
        "task-exits": TaskExits,
    }.items():
        pool.add(name, agent)
    pool.server._host, pool.server._port = "127.0.0.1", 0

    if __name__ == "__main__":
        pool.run()
"""
CASES = {
    "agent raises an error in `__init__`": ["init-raises"],
    "agent raises an error in `on_enter`": ["enter-raises"],
    "agent raises SystemExit in `__init__`": ["init-exits"],
    "agent raises SystemExit in `on_enter`": ["enter-exits"],
    "agent raises SystemExit in a task": ["task-exits"],
    "five failed calls, one after the other": ["init-raises"] * 5,
}


def main() -> None:
    """Run every case in a fresh worker and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", type=Path, help="the interpreter of the environment with the peer")
    python = parser.parse_args().python.absolute()
    print("| fault | bystander's longest hole | the worker | the room of the failed call |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for number, (fault, agents) in enumerate(CASES.items()):
            print(f"| {fault} | {one_case(python, Path(folder) / str(number), agents)} |", flush=True)
        print(f"| {BURST} simultaneous dispatches to an idle worker | – | {burst(python, Path(folder))} | – |")


def one_case(python: Path, folder: Path, agents: list[str]) -> str:
    """Let one fault happen beside a bystander's call; return the cells of its row."""
    with LocalServer(port=0) as running:
        server = ServerApi(running.url, running.api_key, running.api_secret)
        with worker_of(python, server, folder) as worker, CallersProcess(server.url, folder / "callers") as callers:
            bystander = call(server, callers, "bystander", "bystander")
            bystander.wait_for("track_subscribed", 30.0)
            time.sleep(1.0)
            began = time.time()
            rooms = [f"victim-{number}" for number in range(len(agents))]
            for room, agent in zip(rooms, agents, strict=True):
                call(server, callers, room, agent)
                time.sleep(2.0)
            time.sleep(WATCHED)
            hole = silence_between(bystander.recordings(), began, time.time() - 0.5)
            ended = "lives" if worker.running else f"ended with {worker.exit_code}"
            left = [identity for found in server.agents_in(rooms).values() for identity in found]
            room = f"{len(left)} silent agent(s) after {WATCHED:g} s" if left else "no agent is left"
            return f"{hole:.2f} s | {ended} | {room}"


def burst(python: Path, folder: Path) -> str:
    """Return how many of many simultaneous dispatches an idle worker takes."""
    with LocalServer(port=0) as running:
        server = ServerApi(running.url, running.api_key, running.api_secret)
        with worker_of(python, server, folder / "burst"):
            rooms = [f"burst-{number}" for number in range(BURST)]
            metadata = '{"agent": "bystander"}'
            server.dispatch_all([Dispatch(room=room, agent_name=NAME, metadata=metadata) for room in rooms])
            time.sleep(WATCHED)
            taken = sum(bool(found) for found in server.agents_in(rooms).values())
            return f"took {taken} of {BURST}"


def worker_of(python: Path, server: ServerApi, folder: Path) -> WorkerProcess:
    """Return a registered worker of the peer."""
    folder.mkdir(parents=True)
    script = folder / "agents.py"
    script.write_text(dedent(AGENTS))
    return WorkerProcess(
        [str(script), "start"], api=server, log=folder / "worker.log", python=python, cwd=folder
    ).wait_until_ready()


def call(server: ServerApi, callers: CallersProcess, room: str, agent: str) -> Caller:
    """Let a caller join a room to which an agent is dispatched."""
    wish = Dispatch(room=room, agent_name=NAME, metadata=f'{{"agent": "{agent}"}}')
    return callers.join(room, server.token(room, "ann", agents=[wish]), speaks=False)


if __name__ == "__main__":
    main()
