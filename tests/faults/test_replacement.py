"""A worker is used up though it still runs: a supervisor has a new one before the old one has drained."""

from __future__ import annotations

import time

from e2e.callers import Caller
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.worker import TRACEBACK, WorkerProcess
from faults.bystander_calls import ALLOWED, BystanderCalls, hole_since
from faults.conftest import StartWorker
from faults.failing_agents import FAULTY_AGENTS
from faults.failing_models import FAULTY_MODELS
from faults.rows import PendingRow
from faults.silence import silence_between
from openrtc.worker.process_exit import REPLACE_ME

CONNECTING = 6
REPLACED_WITHIN = 15.0

HUNGRY = Package(
    name="hungry-agents",
    modules={
        "hungry_agents.py": """
            from livekit.agents import Agent

            class Hungry(Agent):
                def __init__(self):
                    super().__init__(instructions="x")
                    self.eaten = b"x" * 250_000_000
        """
    },
    agents={"hungry": "hungry_agents:Hungry"},
)


def wait_for_replacement(worker: WorkerProcess) -> float:
    """Wait until a second worker is registered; return the wall clock's time."""
    until = time.monotonic() + REPLACED_WITHIN
    while len(worker.records(r"^worker \d+ .* is registered")) < 2:
        assert time.monotonic() < until, worker.tail()
        time.sleep(0.05)
    return time.time()


def wait_for_end_of_the_first(worker: WorkerProcess, bystander: Caller) -> None:
    bystander.leave()
    worker.wait_for_log(rf"worker 0 .* has left \(exit code {REPLACE_ME}\)", 30.0)
    assert worker.running
    assert TRACEBACK not in worker.log()


def test_a_worker_grows_over_its_memory_limit(
    start: StartWorker, bystander_calls: BystanderCalls, killable_api: ServerApi, row: PendingRow
) -> None:
    row.fault = "agent takes 250 MB; --memory-limit 500, under a supervisor"
    row.lost = "nothing: live calls finish, new ones go to the new worker"
    worker = start("--processes", "1", "--memory-limit", "500", packages=[HUNGRY])
    bystander, _, _ = bystander_calls.call(worker)
    began = time.time()
    killable_api.create_room("hungry-1")
    worker.wait_for_log("over the limit of 500 MB")
    row.operator = worker.records("over the limit of 500 MB")[0]["message"]
    wait_for_replacement(worker)
    bystander_calls.call(worker)
    time.sleep(1.0)
    row.hole = hole_since(bystander, began)
    assert row.hole < ALLOWED
    killable_api.delete_room("hungry-1")
    wait_for_end_of_the_first(worker, bystander)


def test_the_native_library_fails_when_the_loop_was_blocked_while_calls_connected(
    start: StartWorker, bystander_calls: BystanderCalls, killable_api: ServerApi, row: PendingRow
) -> None:
    row.fault = "agent blocks the loop for 20 s while calls connect; --break-seconds 0, under a supervisor"
    row.lost = "20 s of every call's sound, and the calls that were connecting; a new worker is there when it ends"
    worker = start("--processes", "1", "--break-seconds", "0", packages=[FAULTY_AGENTS, FAULTY_MODELS])
    bystander, _, _ = bystander_calls.call(worker)
    began = time.time()
    killable_api.create_room("blocks-joining-1")
    worker.wait_for_log("waits for another call to connect", 60.0)
    for number in range(CONNECTING):
        killable_api.create_room(f"alpha-{number}")
    worker.wait_for_log("livekit's native library has failed", 60.0)
    row.operator = worker.records("livekit's native library has failed")[0]["message"]
    replaced = wait_for_replacement(worker)
    bystander_calls.call(worker)
    time.sleep(1.0)
    row.hole = silence_between(bystander.recordings(), began, replaced)
    assert 10.0 < row.hole < 30.0
    assert hole_since(bystander, replaced) < ALLOWED, "the calls that were connected go on"
    for room in ("blocks-joining-1", *(f"alpha-{number}" for number in range(CONNECTING))):
        killable_api.delete_room(room)
    wait_for_end_of_the_first(worker, bystander)
