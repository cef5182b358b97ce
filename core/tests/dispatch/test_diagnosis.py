from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openrtc.discovery.loaded_distributions import Drift
from openrtc.dispatch.diagnosis import explain_by_workers
from openrtc.dispatch.dispatches import Dispatch, DispatchJob

ADDRESS = "ws://127.0.0.1:7880"
LOST = Dispatch(id="AD_1", room="r", agent_name="front", created_at=1000.0)
WORKER: dict[str, Any] = {
    "pid": 7,
    "url": f"{ADDRESS}/",
    "state": "ready",
    "agent_names": ["front"],
    "sessions": 1,
    "max_sessions": 50,
    "load": 0.1,
    "load_limit": 0.7,
    "recent_rejects": [],
}
LATE = Drift(distribution="my-front", what="installed", installed_version="2.0", agents=("front",)).to_json()


def reject(room: str, at: float, reason: str) -> dict[str, Any]:
    return {"room": room, "time": at, "cause": "routing", "reason": reason}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"recent_rejects": [reject("r", 1000.2, 'no agent "x"')]}, 'pid 7 on this machine rejected it: no agent "x"'),
        ({"recent_rejects": [reject("r", 1000.1, "old"), reject("r", 1000.2, "new")]}, "rejected it: new"),
        ({"state": "draining"}, "pid 7 on this machine takes no calls: draining"),
        ({"sessions": 50}, "takes no calls: all 50 sessions are taken"),
        ({"load": 0.75}, "takes no calls: its load is 0.75, and the server's limit 0.7"),
        (
            {"agent_names": ["back", ""]},
            "on this machine none is registered as 'front' at ws://127.0.0.1:7880, but pid 7",
        ),
        ({"agent_names": ["back", ""]}, "pid 7 as back, (automatic)"),
        ({"url": "http://me:pw@127.0.0.1:7880", "state": "starting"}, "takes no calls: starting"),
        ({}, "no worker took it in 5 s; one on this machine is registered as 'front' and was not asked"),
        (
            {"agent_names": ["back"], "drift": [LATE]},
            "took it in 5 s; my-front 2.0 was installed after this worker started (pid 7)",
        ),
        ({"drift": [LATE]}, "one on this machine is registered as 'front' and was not asked"),
        ({"url": "ws://elsewhere"}, "at ws://127.0.0.1:7880 none is registered as 'front', or those that are"),
        ({"recent_rejects": [reject("other", 1000.2, "x"), reject("r", 900.0, "y")]}, "and was not asked"),
    ],
)
def test_workers_of_this_machine_say_why_they_did_not_take_it(changed: dict[str, Any], expected: str) -> None:
    message, fix = explain_by_workers(LOST, ADDRESS, 5.0, [WORKER | changed])
    assert expected in message and fix


def test_a_job_whose_agent_does_not_come_names_the_worker_that_took_it() -> None:
    taken = replace(LOST, jobs=(DispatchJob(id="AJ_1", state="running", identity="a", worker_id="AW_9"),))
    message, fix = explain_by_workers(taken, ADDRESS, 5.0, [])
    assert message == "worker AW_9 took the job AJ_1, but its agent is not in the room after 5 s"
    assert "AJ_1" in fix


def test_without_a_name_automatic_dispatch_is_meant() -> None:
    message, fix = explain_by_workers(replace(LOST, agent_name=""), ADDRESS, 5.0, [])
    assert "none is registered for automatic dispatch" in message and "openrtc start)" in fix


def test_a_worker_that_does_not_answer_explains_nothing() -> None:
    message, _ = explain_by_workers(LOST, ADDRESS, 5.0, [{"pid": 3, "state": "does not answer", "calls": []}])
    assert message.startswith("no worker took it in 5 s: at ")
