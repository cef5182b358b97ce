"""The LiveKit server is killed: it comes back, or it is gone for good."""

from __future__ import annotations

import json
import time
from pathlib import Path

import psutil

from e2e.callers import CallersProcess
from e2e.server_api import ServerApi
from e2e.worker import TRACEBACK, WorkerProcess
from faults.conftest import StartWorker
from faults.nodes import kill
from faults.rows import PendingRow
from faults.silence import silence_between
from openrtc.server import LocalServer
from openrtc.session.attendance import AFTER_RESTART_SECONDS
from openrtc.worker.process_exit import SERVER_LOST

DOWN_SECONDS = 2.0
RESUMES_WITHIN = 20.0
GIVES_UP_WITHIN = 60.0
LEAVES_WITHIN = 60.0


def wait_until_registered_again(worker: WorkerProcess, times: int) -> None:
    until = time.monotonic() + 30.0
    while (found := len(worker.records("registered worker"))) < times and time.monotonic() < until:
        time.sleep(0.1)
    assert found == times


def test_the_server_is_killed_and_comes_back(
    killable_server: LocalServer,
    killable_api: ServerApi,
    start: StartWorker,
    people: CallersProcess,
    row: PendingRow,
) -> None:
    row.fault = f"LiveKit server killed, and started again {DOWN_SECONDS:g} s later"
    row.lost = "the sound until the call is resumed, in the same room"
    worker = start()
    caller = people.join("caller", killable_api.token("bystander-1", "ann"), speaks=False)
    caller.wait_for("track_subscribed")
    time.sleep(1.0)
    killed = time.time()
    kill(killable_server)
    worker.wait_for_log("failed to connect to livekit, retrying")
    row.operator = worker.records("failed to connect to livekit, retrying")[0]["message"]
    time.sleep(DOWN_SECONDS)
    killable_server.start()
    wait_until_registered_again(worker, times=2)
    until = time.monotonic() + RESUMES_WITHIN
    while len(caller.events("track_subscribed")) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    assert len(caller.events("track_subscribed")) == 2, "the agent is heard again"
    resumed = time.time()
    time.sleep(2.0)
    recordings = caller.recordings()
    assert silence_between(recordings, resumed + 0.5, resumed + 2.0) < 1.0
    row.hole = silence_between(recordings, killed, resumed + 2.0)
    assert len(killable_api.agents_in(["bystander-1"])["bystander-1"]) == 1, "no second agent came to the new room"
    after = people.join("after", killable_api.token("alpha-after", "ann"), speaks=False)
    assert after.wait_for_answer(0.0, quiet=0.3), "new calls are taken again"
    assert worker.running
    assert TRACEBACK not in worker.log()


def test_an_agent_whose_caller_does_not_come_back_after_that_leaves(
    killable_server: LocalServer,
    killable_api: ServerApi,
    start: StartWorker,
    tmp_path: Path,
    row: PendingRow,
) -> None:
    row.fault = "LiveKit server killed, and started again, and the caller does not come back"
    row.lost = f"that call: its agent leaves {AFTER_RESTART_SECONDS:g} s after it was connected again"
    events = tmp_path / "events.jsonl"
    worker = start("--rejoin-seconds", "1", "--metrics-jsonl", str(events))
    with CallersProcess(killable_server.url, tmp_path / "gone") as gone:
        caller = gone.join("caller", killable_api.token("bystander-1", "ann"), speaks=False)
        caller.wait_for("track_subscribed")
        kill(killable_server)
        psutil.Process(gone.pid).kill()
    killable_server.start()
    api, room = killable_api, "bystander-1"
    wait_until_registered_again(worker, times=2)
    until = time.monotonic() + RESUMES_WITHIN
    while not api.agents_in([room])[room] and time.monotonic() < until:
        time.sleep(0.1)
    assert api.agents_in([room])[room], "it is there again, alone"
    back = time.time()
    until = time.monotonic() + LEAVES_WITHIN
    while api.agents_in([room])[room] and time.monotonic() < until:
        time.sleep(0.1)
    assert not api.agents_in([room])[room]
    assert time.time() - back > AFTER_RESTART_SECONDS / 2, "not after one second, as its setting says otherwise"
    until = time.monotonic() + LEAVES_WITHIN
    while '"call_ended"' not in events.read_text() and time.monotonic() < until:
        time.sleep(0.1)  # the call ends when the room is left, and its event comes after that
    ended = [json.loads(line) for line in events.read_text().splitlines() if '"call_ended"' in line]
    assert [one["failed"] for one in ended] == [False]
    row.operator = "nothing"
    assert TRACEBACK not in worker.log()


def test_the_server_is_gone_for_good(
    killable_server: LocalServer,
    killable_api: ServerApi,
    start: StartWorker,
    people: CallersProcess,
    row: PendingRow,
) -> None:
    row.fault = "LiveKit server gone for good, with a live call (--max-retry 3)"
    row.lost = "that call; the worker ends with 4, so that a supervisor or an operator notices"
    worker = start("--max-retry", "3")
    caller = people.join("caller", killable_api.token("bystander-1", "ann"), speaks=False)
    caller.wait_for("track_subscribed")
    kill(killable_server)
    assert worker.wait(GIVES_UP_WITHIN) == SERVER_LOST
    retries = worker.records("failed to connect to livekit, retrying")
    assert len(retries) == 3, "each attempt is logged"
    errors = [line["message"] for line in worker.records() if line["level"] == "error"]
    row.operator = next((line for line in errors if "server" in line.lower()), "")
    assert row.operator, f"the end is logged: {errors}"
    assert TRACEBACK not in worker.log()
