"""`e2e.worker`: processes that behave and processes that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess

NOWHERE = ServerApi("ws://127.0.0.1:9", "key", "secret")
POLITE = """
import signal, subprocess, sys, os
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def stop(*_):
    child.kill(); child.wait(); print("bye"); sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print('{"message": "registered worker", "url": "' + os.environ["LIVEKIT_URL"] + '"}')
while True: signal.pause()
"""
STUBBORN = POLITE.replace("child.kill(); child.wait(); print", "print")
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('registered worker'); signal.pause()"
FAILING = "print('no credentials'); raise SystemExit(2)"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str], WorkerProcess]]:
    started: list[WorkerProcess] = []

    def start(code: str) -> WorkerProcess:
        started.append(WorkerProcess(["-c", code], api=NOWHERE, log=tmp_path / "worker.log"))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def test_a_worker_is_waited_for_and_stopped(run: Callable[[str], WorkerProcess]) -> None:
    worker = run(POLITE).wait_until_ready(10)
    assert worker.records("registered")[0]["url"] == "ws://127.0.0.1:9"
    (child,) = worker.children()
    worker.stop(10)
    assert (worker.exit_code, worker.tail(1)) == (0, "bye")
    assert not psutil.pid_exists(child.pid)


def test_a_process_that_a_worker_leaves_behind_is_told(run: Callable[[str], WorkerProcess]) -> None:
    worker = run(STUBBORN).wait_until_ready(10)
    (child,) = worker.children()
    with pytest.raises(AssertionError, match="left processes behind"):
        worker.stop(10)
    child.kill()


def test_a_worker_that_does_not_stop_is_ended_and_told(run: Callable[[str], WorkerProcess]) -> None:
    worker = run(DEAF).wait_until_ready(10)
    with pytest.raises(AssertionError, match="did not end in 0.5 s"):
        worker.stop(0.5)
    assert not worker.running


def test_a_worker_that_ends_early_is_told_with_its_log(run: Callable[[str], WorkerProcess]) -> None:
    with pytest.raises(AssertionError, match="(?s)ended with 2.*no credentials"):
        run(FAILING).wait_until_ready(10)
