"""The LiveKit server is killed: it comes back, or it is gone for good."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import TRACEBACK, WorkerProcess, openrtc_worker
from faults.failing_agents import BYSTANDER
from faults.rows import Row
from openrtc.server import LocalServer
from openrtc.server.settings import free_port

GIVES_UP_WITHIN = 90.0


@pytest.fixture
def server_port() -> int:
    import socket

    return free_port(socket.SOCK_STREAM)


@pytest.fixture
def mortal(server_port: int) -> Iterator[LocalServer]:
    """A LiveKit server that a test may kill; a restart uses the same port."""
    with LocalServer(port=server_port) as running:
        yield running


@pytest.fixture
def start(mortal: LocalServer, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Start a worker at that server."""
    started: list[WorkerProcess] = []

    def one(*options: str, packages: tuple[Package, ...] = (TONE_AGENTS, BYSTANDER)) -> WorkerProcess:
        folder = tmp_path / "packages"
        for package in packages:
            package.install_into(folder)
        allowed = ",".join(package.name for package in packages)
        server = ServerApi(mortal.url, mortal.api_key, mortal.api_secret)
        log = tmp_path / f"worker-{len(started)}.log"
        started.append(openrtc_worker(server, log, "--allow", allowed, *options, folders=[folder]))
        return started[-1].wait_until_ready()

    yield one
    for worker in started:
        worker.kill()


def kill(server: LocalServer) -> None:
    pid = server.pid
    assert pid is not None
    psutil.Process(pid).kill()
    server.stop()


def test_the_server_is_killed_and_comes_back(
    mortal: LocalServer,
    start: Callable[..., WorkerProcess],
    tmp_path: Path,
    report: Callable[[Row], None],
    command: str,
) -> None:
    worker = start()
    server = ServerApi(mortal.url, mortal.api_key, mortal.api_secret)
    seen, lost, passed = "", "", False
    try:
        with CallersProcess(mortal.url, tmp_path / "callers") as callers:
            caller = callers.join("caller", server.token("bystander-1", "ann"), speaks=False)
            caller.wait_for("track_subscribed", 20.0)
            time.sleep(1.0)
            kill(mortal)
            worker.wait_for_log("failed to connect to livekit, retrying")
            seen = worker.records("failed to connect to livekit, retrying")[0]["message"]
            mortal.start()
            registered = len(worker.records("registered worker"))
            until = time.monotonic() + 30.0
            while len(worker.records("registered worker")) < registered + 1 and time.monotonic() < until:
                time.sleep(0.1)
            lost = what_became_of(server, callers)
            assert worker.running
            after = callers.join("after", server.token("alpha-after", "ann"), speaks=False)
            assert after.wait_for_answer(0.0, quiet=0.3), "new calls are taken again"
            assert TRACEBACK not in worker.log()
        passed = True
    finally:
        report(
            Row(
                fault="LiveKit server killed and restarted mid-call",
                control=0.0,
                hole=None,
                operator=seen,
                lost=lost,
                command=command,
                passed=passed,
            )
        )


def what_became_of(server: ServerApi, callers: CallersProcess) -> str:
    """Return in words whether the call was resumed or ended."""
    until = time.monotonic() + 40.0
    while time.monotonic() < until:
        agents = server.agents_in(["bystander-1"])["bystander-1"]
        people = [event for event in callers.events if event["event"] == "disconnected"]
        if people:
            assert not agents
            return f"the call: its caller is told ({people[0]['reason']})"
        time.sleep(0.5)
    return f"in the room: {agents}; {callers.events[-5:]}"
