"""Two workers on one server: one is killed, one is drained, one gets a second signal."""

from __future__ import annotations

import time

from e2e.server_api import ServerApi
from e2e.worker import TRACEBACK
from faults.bystander_calls import ALLOWED, BystanderCalls, hole_since
from faults.conftest import StartWorker
from faults.rows import PendingRow
from openrtc.worker.process_exit import STOPPED_AT_ONCE

NEW_CALLS = 3
SERVER_NOTICES_WITHIN = 40.0


def test_one_of_two_workers_is_killed(
    killable_api: ServerApi, start: StartWorker, bystander_calls: BystanderCalls, row: PendingRow
) -> None:
    row.fault = "two workers, one killed with SIGKILL"
    row.operator = "nothing of the killed one; a service manager sees its signal"
    first = start()
    _, lost_room, _ = bystander_calls.call(first)
    second = start()
    for _ in range(8):
        bystander, _, worker = bystander_calls.call(first, second)
        if worker is second:
            break
        bystander.leave()
    assert worker is second, "calls are spread over both"
    time.sleep(1.0)
    killed = time.time()
    first.kill()
    for _ in range(NEW_CALLS):
        caller, _, worker = bystander_calls.call(second)
        assert worker is second
        caller.leave()
    until = time.monotonic() + SERVER_NOTICES_WITHIN
    while (left := killable_api.agents_in([lost_room])[lost_room]) and time.monotonic() < until:
        time.sleep(0.2)
    took = time.time() - killed
    replaced = any(second.records(f"^room '{lost_room}': "))
    row.lost = f"the calls of the killed worker; their agents were out of the room after {took:.0f} s"
    row.lost += ", and its call got a new agent" if replaced else ""
    assert not left or replaced, "no dead agent stays in a room"
    row.hole = hole_since(bystander, killed)
    assert row.hole < ALLOWED, "the other worker's call does not notice"
    assert second.running and TRACEBACK not in second.log()


def test_a_rolling_upgrade_loses_no_call(start: StartWorker, bystander_calls: BystanderCalls, row: PendingRow) -> None:
    row.fault = "rolling upgrade: new worker started, old one drained with SIGTERM"
    row.lost = "nothing"
    old = start()
    caller, _, _ = bystander_calls.call(old)
    new = start()
    time.sleep(0.5)
    drained = time.time()
    old.signal()
    old.wait_for_log("draining: 1 live calls")
    row.operator = old.records("draining: 1 live calls")[0]["message"]
    for _ in range(NEW_CALLS):
        newcomer, _, worker = bystander_calls.call(old, new)
        assert worker is new, "new calls go to the new one"
        newcomer.leave()
    time.sleep(1.0)
    assert old.running, "the live call may finish"
    row.hole = hole_since(caller, drained)
    assert row.hole < ALLOWED
    caller.leave()
    assert old.wait(30.0) == 0
    assert TRACEBACK not in old.log() + new.log()


def test_a_second_sigterm_stops_at_once(start: StartWorker, bystander_calls: BystanderCalls, row: PendingRow) -> None:
    row.fault = "second SIGTERM with a live call"
    row.lost = f"that call; the worker ends with {STOPPED_AT_ONCE}"
    worker = start()
    caller, _, _ = bystander_calls.call(worker)
    worker.signal()
    worker.wait_for_log("draining: 1 live calls")
    worker.signal()
    asked = time.monotonic()
    assert worker.wait(10.0) == STOPPED_AT_ONCE
    assert time.monotonic() - asked < 8.0
    row.operator = worker.records("second signal")[0]["message"]
    caller.wait_for("participant_disconnected", 10.0, kind="AGENT")
    assert TRACEBACK not in worker.log()
