"""Measures one worker with a number of calls."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import process_tree
from load import LISTEN_SECONDS
from workers import HERE, WORKERS, command, environment

from openrtc.server import LocalServer
from openrtc.server.settings import find_free_port

REGISTERED = "registered worker"
REGISTER_SECONDS = 90.0
IDLE_SECONDS = 4.0
SETTLE_SECONDS = 3.0


@dataclass
class Result:
    """What one run has shown; times in seconds, memory in MB, CPU in seconds for a call that is served for a minute.

    ``relative`` is the worker's CPU time divided by that of the callers in the same window: they do the same work each
    time, so that most of the machine's mood cancels. ``in_worker`` is how long after the last sound that a worker has
    heard of a caller its reply begins there.
    """

    worker: str
    calls: int
    repeat: int
    turn_detector: bool
    start: float = 0.0
    idle: Mapping[str, float] = field(default_factory=dict)
    busy: Mapping[str, float] = field(default_factory=dict)
    cpu: float = 0.0
    relative: float = 0.0
    callers_cpu: float = 0.0
    served: int = 0
    turns: int = 0
    lost: int = 0
    holes: int = 0
    replies: list[float] = field(default_factory=list)
    in_worker: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    callers_late: int = 0
    machine_busy: float = 0.0
    threads: Mapping[str, float] = field(default_factory=dict)

    @property
    def memory_per_call(self) -> float:
        """Proportional memory that each served call has added."""
        return (self.busy["pss"] - self.idle["pss"]) / max(1, self.served)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Bench:
    """What all runs have in common.

    Args:
        server: The LiveKit server.
        speech: File with what the callers say, in the folder where our agent is installed.
        output: Folder for logs.
        seconds: How long each measurement lasts.
        peer_python: Interpreter of the peer's environment.
        turn_detector: Whether livekit-agents' turn detector decides when a turn ends.
    """

    server: LocalServer
    speech: Path
    output: Path
    seconds: float
    peer_python: Path
    turn_detector: bool = False

    def measure(self, worker: str, calls: int, repeat: int) -> Result:
        """Start a worker, let callers talk to it, and return what it cost."""
        result = Result(worker, calls, repeat, self.turn_detector)
        with tempfile.TemporaryDirectory() as lags:
            variables = self._variables(calls, Path(lags))
            log = self.output / f"{worker}-{calls}-{repeat}.log"
            with _worker(worker, self.peer_python, variables, log) as running:
                result.start = _wait_until_registered(running, log)
                time.sleep(IDLE_SECONDS)
                result.idle = process_tree.memory_mb(running.pid)
                self._with_callers(result, running.pid, variables, log, Path(lags))
        return result

    def _variables(self, calls: int, lags: Path) -> dict[str, str]:
        return {
            "LIVEKIT_URL": self.server.url,
            "LIVEKIT_API_KEY": self.server.api_key,
            "LIVEKIT_API_SECRET": self.server.api_secret,
            "BENCH_LAG_FOLDER": str(lags),
            "BENCH_HEALTH_PORT": str(find_free_port(socket.SOCK_STREAM)),
            "BENCH_CALLS": str(calls),
            "BENCH_TURN_DETECTOR": "1" if self.turn_detector else "0",
            "OPENRTC_PORT": "0",
            "PYTHONPATH": os.pathsep.join([str(HERE), str(self.speech.parent)]),
        }

    def _with_callers(self, result: Result, pid: int, variables: Mapping[str, str], log: Path, lags: Path) -> None:
        run = f"bench-{result.worker}-{result.calls}-{result.repeat}-{time.time_ns() // 1_000_000}"
        with _callers(result.calls, run, self.speech, variables, log) as callers:
            time.sleep(SETTLE_SECONDS)
            before = _look(pid, callers.pid)
            time.sleep(self.seconds)
            after = _look(pid, callers.pid)
            result.busy = process_tree.memory_mb(pid)
            heard = _stop(callers)
        _fill_cost(result, before, after, sum(joined is not None for joined in heard["join"]))
        _fill_replies(result, heard, before.time, after.time)
        result.lags = _read_notes(lags.glob("*.lags"), before.time, after.time)
        result.in_worker = [lag / 1e3 for lag in _read_notes(lags.glob("*.replies"), before.time, after.time)]


@dataclass(frozen=True)
class _Look:
    time: float
    worker: float
    callers: float
    threads: process_tree.ThreadTimes
    machine: list[int]


def _look(worker: int, callers: int) -> _Look:
    return _Look(
        time.monotonic(),
        process_tree.cpu_seconds(worker),
        process_tree.cpu_seconds(callers),
        process_tree.thread_times(worker),
        process_tree.machine_times(),
    )


def _fill_cost(result: Result, before: _Look, after: _Look, served: int) -> None:
    spent, callers = after.worker - before.worker, after.callers - before.callers
    result.served = served
    result.cpu = spent / max(1, served) / (after.time - before.time) * 60
    # As if all calls had been served: the callers' cost is that of all of them.
    result.relative = spent * result.calls / max(1, served) / max(0.01, callers)
    result.callers_cpu = callers
    result.threads = process_tree.between(before.threads, after.threads)
    result.machine_busy = process_tree.machine_busy(before.machine, after.machine)


def _fill_replies(result: Result, heard: Mapping[str, Any], start: float, end: float) -> None:
    # Only turns whose whole time for a reply lies in the window.
    turns = [turn for turn in heard["turns"] if start <= turn["spoken"] <= end - LISTEN_SECONDS]
    result.replies = [round(turn["heard"] - turn["spoken"], 3) for turn in turns if turn["heard"] is not None]
    result.turns, result.lost = len(turns), len(turns) - len(result.replies)
    result.holes = sum(turn["holes"] for turn in turns)
    result.callers_late = heard["late"]


def _read_notes(paths: Iterable[Path], start: float, end: float) -> list[float]:
    lines = (line.partition(" ") for path in paths for line in path.read_text().splitlines())
    return [float(milliseconds) for at, _, milliseconds in lines if milliseconds and start <= float(at) <= end]


@contextmanager
def _worker(name: str, peer_python: Path, variables: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    worker = WORKERS[name]
    with log.open("wb") as output:
        running = subprocess.Popen(
            command(worker, peer_python),
            env=environment(worker, variables),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield running
        finally:
            _end(running)


def _end(running: subprocess.Popen[bytes]) -> None:
    tree = process_tree.processes_of(running.pid)
    running.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        running.wait(3)
    for pid in tree:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    running.wait()


def _wait_until_registered(running: subprocess.Popen[bytes], log: Path) -> float:
    began = time.monotonic()
    while REGISTERED not in log.read_text(errors="replace"):
        if running.poll() is not None or time.monotonic() - began > REGISTER_SECONDS:
            raise RuntimeError(f"the worker did not register: see {log}")
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def _callers(
    calls: int, run: str, speech: Path, variables: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[str]]:
    arguments: Sequence[str] = (str(calls), "--run", run, "--speech", str(speech))
    with log.with_suffix(".callers.log").open("w") as output:
        callers = subprocess.Popen(
            [sys.executable, str(HERE / "load.py"), *arguments],
            env=environment(WORKERS["floor"], variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
        try:
            if _line_of(callers) != "READY":
                raise RuntimeError(f"the callers failed: see {output.name}")
            yield callers
        finally:
            callers.kill()
            callers.wait()


def _line_of(callers: subprocess.Popen[str]) -> str:
    assert callers.stdout is not None
    return callers.stdout.readline().strip()


def _stop(callers: subprocess.Popen[str]) -> dict[str, Any]:
    assert callers.stdin is not None
    callers.stdin.write("stop\n")
    callers.stdin.flush()
    heard: dict[str, Any] = json.loads(_line_of(callers))
    return heard
