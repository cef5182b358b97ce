"""The LiveKit server is killed: it comes back, or it is gone for good."""

from __future__ import annotations

import time

import psutil

from e2e.callers import CallersProcess
from e2e.server_api import ServerApi
from e2e.worker import TRACEBACK, WorkerProcess
from faults.conftest import StartWorker
from faults.rows import Story
from faults.silence import silence_between
from openrtc.server import LocalServer
from openrtc.worker.exit_codes import SERVER_LOST

DOWN_SECONDS = 2.0
RESUMES_WITHIN = 20.0
GIVES_UP_WITHIN = 60.0


def kill(server: LocalServer) -> None:
    """Kill the server's process as the kernel would."""
    assert server.pid is not None
    psutil.Process(server.pid).kill()
    server.stop()


def wait_until_registered_again(worker: WorkerProcess, times: int) -> None:
    until = time.monotonic() + 30.0
    while (found := len(worker.records("registered worker"))) < times and time.monotonic() < until:
        time.sleep(0.1)
    assert found == times


def test_the_server_is_killed_and_comes_back(
    mortal: LocalServer, mortal_api: ServerApi, start: StartWorker, people: CallersProcess, story: Story
) -> None:
    story.fault = f"LiveKit server killed, and started again {DOWN_SECONDS:g} s later"
    story.lost = "the sound until the call is resumed, in the same room"
    worker = start()
    caller = people.join("caller", mortal_api.token("bystander-1", "ann"), speaks=False)
    caller.wait_for("track_subscribed", 20.0)
    time.sleep(1.0)
    killed = time.time()
    kill(mortal)
    worker.wait_for_log("failed to connect to livekit, retrying")
    story.operator = worker.records("failed to connect to livekit, retrying")[0]["message"]
    time.sleep(DOWN_SECONDS)
    mortal.start()
    wait_until_registered_again(worker, times=2)
    until = time.monotonic() + RESUMES_WITHIN
    while len(caller.events("track_subscribed")) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    assert len(caller.events("track_subscribed")) == 2, "the agent is heard again"
    resumed = time.time()
    time.sleep(2.0)
    recordings = caller.recordings()
    assert silence_between(recordings, resumed + 0.5, resumed + 2.0) < 1.0
    story.hole = silence_between(recordings, killed, resumed + 2.0)
    assert len(mortal_api.agents_in(["bystander-1"])["bystander-1"]) == 1, "no second agent came to the new room"
    after = people.join("after", mortal_api.token("alpha-after", "ann"), speaks=False)
    assert after.wait_for_answer(0.0, quiet=0.3), "new calls are taken again"
    assert worker.running
    assert TRACEBACK not in worker.log()


def test_the_server_is_gone_for_good(
    mortal: LocalServer, mortal_api: ServerApi, start: StartWorker, people: CallersProcess, story: Story
) -> None:
    story.fault = "LiveKit server gone for good, with a live call (--max-retry 3)"
    story.lost = "that call; the worker ends with 4, so that a supervisor or an operator notices"
    worker = start("--max-retry", "3")
    caller = people.join("caller", mortal_api.token("bystander-1", "ann"), speaks=False)
    caller.wait_for("track_subscribed", 20.0)
    kill(mortal)
    assert worker.wait(GIVES_UP_WITHIN) == SERVER_LOST
    retries = worker.records("failed to connect to livekit, retrying")
    assert len(retries) == 3, "each attempt is told"
    errors = [line["message"] for line in worker.records() if line["level"] == "error"]
    story.operator = next((line for line in errors if "server" in line.lower()), "")
    assert story.operator, f"the end is told: {errors}"
    assert TRACEBACK not in worker.log()
