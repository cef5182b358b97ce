"""Code that blocks the loop of all calls for ever, or in call after call."""

from __future__ import annotations

import signal
import time

import pytest

from e2e.callers import CallersProcess
from e2e.server_api import ServerApi
from e2e.worker import TRACEBACK
from faults.bystander_calls import ALLOWED, BystanderCalls, hole_since
from faults.conftest import StartWorker
from faults.failing_agents import FAULTY_AGENTS
from faults.failing_models import FAULTY_MODELS
from faults.rows import PendingRow
from openrtc.worker.process_exit import STOPPED_AT_ONCE

pytestmark = pytest.mark.last  # 10 s of a blocked loop disturb every test that runs meanwhile


def test_agents_never_come_back_to_the_loop(
    start: StartWorker,
    bystander_calls: BystanderCalls,
    people: CallersProcess,
    killable_api: ServerApi,
    row: PendingRow,
) -> None:
    row.fault = (
        "agents never come back to the loop: in a callback of the room, in time.sleep, in a regular expression, in "
        "__del__, in code that catches every exception; --break-seconds 1, then SIGTERM"
    )
    row.lost = "those calls, and 1 to 3 s of every answer for each"
    worker = start("--break-seconds", "1", packages=[FAULTY_AGENTS, FAULTY_MODELS])
    bystander, _, _ = bystander_calls.call(worker)
    began = time.time()
    for agent in ("spins-in-callback", "sleeps", "searches", "spins-in-del", "catches-all"):
        victim = people.join(agent, killable_api.token(f"{agent}-1", "bob"), speaks=False)
        if agent == "spins-in-callback":
            victim.wait_for("participant_connected", 20.0, kind="AGENT")
            time.sleep(1.0)
            victim.leave()
        worker.wait_for_log(f"agent '{agent}' kept the loop", 20.0)
        wait_until_alone(killable_api, f"{agent}-1")
    row.operator = worker.records("agent 'spins-in-callback' kept the loop")[0]["message"]
    row.hole = hole_since(bystander, began)
    assert row.hole < 5.0
    broken_at = time.time()
    time.sleep(1.0)
    assert hole_since(bystander, broken_at) < ALLOWED
    bystander.leave()
    worker.stop()
    assert TRACEBACK not in worker.log()


def test_code_that_cannot_be_broken_off_does_not_outlive_sigterm(
    start: StartWorker, killable_api: ServerApi, row: PendingRow
) -> None:
    row.fault = "agent waits for ever inside of a library (threading.Event().wait()); then SIGTERM twice"
    row.lost = "every call, until the worker is told to stop; it ends then with 3"
    worker = start("--break-seconds", "1", packages=[FAULTY_AGENTS, FAULTY_MODELS])
    killable_api.create_room("waits-in-library-1")
    worker.wait_for_log("it cannot be broken off before it comes back to a line of the agent's own code", 20.0)
    worker.signal()
    worker.signal(signal.SIGINT)  # two of one signal at once may count as one
    assert worker.wait(20.0) == STOPPED_AT_ONCE
    (told,) = worker.records("the worker was told to stop, and its loop has been blocked for")
    row.operator = told["message"]
    assert TRACEBACK not in worker.log()


def test_an_agent_that_blocks_the_loop_in_call_after_call_gets_processes(
    start: StartWorker, bystander_calls: BystanderCalls, killable_api: ServerApi, row: PendingRow
) -> None:
    row.fault = "agent blocks the loop for 1 s in each call; --on-block isolate: heard from its third call on"
    row.lost = "1 s of every answer in each of its first two calls; nothing in the further ones"
    worker = start("--on-block", "isolate", packages=[FAULTY_AGENTS, FAULTY_MODELS])
    bystander, _, _ = bystander_calls.call(worker)
    for number in (1, 2):
        killable_api.create_room(f"blocks-second-{number}")
        time.sleep(2.0)
    worker.wait_for_log("each further one gets a process where one is ready", 60.0)
    (told,) = worker.records("each further one gets a process where one is ready")
    row.operator = told["message"]
    began = time.time()
    killable_api.create_room("blocks-second-3")
    until = time.monotonic() + 20.0
    while not killable_api.agents_in(["blocks-second-3"])["blocks-second-3"]:
        assert time.monotonic() < until, worker.tail()
        time.sleep(0.1)
    time.sleep(2.0)
    row.hole = hole_since(bystander, began)
    assert row.hole < 0.7, "it does not block the loop of the others any more"
    assert not [line for line in worker.records("the loop was blocked for") if line.get("room") == "blocks-second-3"]
    for number in (1, 2, 3):
        killable_api.delete_room(f"blocks-second-{number}")
    bystander.leave()
    worker.stop()


def wait_until_alone(api: ServerApi, room: str) -> None:
    """Wait until no agent is in a room."""
    until = time.monotonic() + 20.0
    while api.agents_in([room])[room]:
        assert time.monotonic() < until, f"an agent stays in room {room!r}"
        time.sleep(0.1)
