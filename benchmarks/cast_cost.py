"""What a cast of two costs against a single agent: the worker's CPU and memory for each call, as ratios.

    python benchmarks/cast_cost.py [CALLS [SECONDS]]          # 4 calls at once, windows of 15 s by default

A real LiveKit server and one worker. Calls of a single agent that talks without a break, and calls of a cast of two
that talk in turns without a break, are measured in windows that alternate three times, so that what else goes on on the
machine meets both. The tests' fake models stand for the paid ones; in each room somebody listens and says nothing.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from e2e.callers import CallersProcess
from e2e.cast_agents import CAST_AGENTS
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess, openrtc_worker
from openrtc.server import LocalServer

ROUNDS = 3
SETTLE_SECONDS = 3.0
KINDS = {"single agent": "alone", "cast of two": "lively"}


@dataclass(frozen=True, slots=True)
class Window:
    """What one window has measured.

    Args:
        cpu: CPU seconds of the worker for each minute of a call.
        listener: The same of the process that listens: the measure of how busy the machine was.
        megabytes: By how much the worker had grown for each call.
    """

    cpu: float
    listener: float
    megabytes: float


def main(calls: int, seconds: float) -> None:
    """Run the windows and print the table."""
    with tempfile.TemporaryDirectory() as name, LocalServer(port=0) as server:
        folder = Path(name)
        api = ServerApi(server.url, server.api_key, server.api_secret)
        packages = [CAST_AGENTS.install_into(folder / "packages")]
        with openrtc_worker(api, folder / "worker.log", "--allow", CAST_AGENTS.name, folders=packages) as worker:
            worker.wait_until_ready()
            measure(worker, api, folder, "alone", calls, 5.0)  # fills caches
            found: dict[str, list[Window]] = {kind: [] for kind in KINDS}
            for number in range(ROUNDS):
                for kind, agent in KINDS.items():
                    found[kind].append(measure(worker, api, folder / f"{number}-{agent}", agent, calls, seconds))
            worker.stop()
    report(found)


def measure(worker: WorkerProcess, api: ServerApi, folder: Path, agent: str, calls: int, seconds: float) -> Window:
    """Hold so many calls of an agent at once, and measure for so many seconds."""
    process = psutil.Process(worker.pid)
    before = process.memory_info().rss
    with CallersProcess(api.url, folder) as callers:
        rooms = [f"{agent}-{number}-{time.monotonic_ns()}" for number in range(calls)]
        for room in rooms:
            callers.join(room, api.token(room, "listener"))
        for room in rooms:
            callers.wait_for(lambda event, room=room: event["event"] == "track_subscribed" and event["caller"] == room)
        time.sleep(SETTLE_SECONDS)
        listener = psutil.Process(callers.pid)
        began, here, there = time.monotonic(), cpu_of(process), cpu_of(listener)
        time.sleep(seconds)
        minutes = (time.monotonic() - began) / 60 * calls
        grown = (process.memory_info().rss - before) / 1e6 / calls
        window = Window((cpu_of(process) - here) / minutes, (cpu_of(listener) - there) / minutes, grown)
    while any(api.agents_in(rooms).values()):
        time.sleep(0.2)
    return window


def cpu_of(process: psutil.Process) -> float:
    """Return the CPU seconds that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def report(found: dict[str, list[Window]]) -> None:
    """Print the medians, and the cast's as multiples of the single agent's."""
    print(f"{'':<14}{'CPU s / call-minute':>22}{'listener':>12}{'MB a call':>12}")
    medians = {}
    for kind, windows in found.items():
        cpu, listener, grown = (
            statistics.median(values)
            for values in zip(*((w.cpu, w.listener, w.megabytes) for w in windows), strict=True)
        )
        medians[kind] = cpu
        print(f"{kind:<14}{cpu:>22.2f}{listener:>12.2f}{grown:>12.1f}")
    single, cast = KINDS
    print(f"CPU of a {cast}: {medians[cast] / medians[single]:.2f} times that of a {single}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4, float(sys.argv[2]) if len(sys.argv) > 2 else 15.0)
