from __future__ import annotations

import time

import pytest

from openrtc.observe.events import (
    CallEnded,
    CallError,
    CallLeftBehind,
    CallRejected,
    CallRouted,
    CallStarted,
    LoopBlocked,
    TurnCompleted,
    WorkerDraining,
    WorkerRegistered,
)
from openrtc.observe.worker_state import ENDED_REMEMBERED, JOIN_SECONDS, LeftCount, WorkerState

CALL = {"job_id": "AJ_1", "room": "r", "agent": "support", "distribution": "my-support-agent"}


def routed(state: WorkerState, *, at: float | None = None) -> None:
    state(CallRouted(**CALL, rule="room.prefix", reason="x", ms=0.1, time=at or time.time()))  # type: ignore[arg-type]


def test_a_call_is_listed_from_its_routing_to_its_end() -> None:
    state = WorkerState()
    routed(state)
    assert state.calls[0].to_json()["state"] == "joining"
    state(CallStarted(**CALL, setup_seconds=0.2, pid=77))  # type: ignore[arg-type]
    state(TurnCompleted(**CALL, latency_seconds=0.9))  # type: ignore[arg-type]
    state(TurnCompleted(**CALL, latency_seconds=None))  # type: ignore[arg-type]
    state(CallError(**CALL, where="tool", error="x"))  # type: ignore[arg-type]
    (call,) = [row.to_json() for row in state.calls]
    assert (call["state"], call["rule"], call["reason"], call["pid"]) == ("live", "room.prefix", "x", 77)
    assert (call["turns"], call["last_latency_seconds"], call["errors"]) == (2, None, 1)
    state(CallEnded(**CALL, reason="left", seconds=3.0, failed=True))  # type: ignore[arg-type]
    assert not state.calls
    assert (state.ended, state.failed) == (1, 1)


def test_a_block_counts_while_it_lasts_and_once_when_it_is_over() -> None:
    state = WorkerState()
    routed(state)
    for seconds in (1.0, 2.0):
        state(LoopBlocked(**CALL, seconds=seconds, ongoing=True))  # type: ignore[arg-type]
    assert (state.calls[0].to_json()["blocked_ms"], state.blocked) == (2000.0, 0.0)
    state(LoopBlocked(**CALL, seconds=2.5, ongoing=False))  # type: ignore[arg-type]
    state(LoopBlocked(job_id="", room="", seconds=0.5, ongoing=False))
    assert (state.calls[0].to_json()["blocked_ms"], state.blocked) == (2500.0, 3.0)


def test_what_calls_leave_behind_is_counted_by_whose_code_it_is() -> None:
    state = WorkerState()
    for place in ("a() at a.py:1", "b() at a.py:9"):
        state(CallLeftBehind(**CALL, left_by="my-plugin", tasks=2, threads=1, rooms=0, place=place))  # type: ignore[arg-type]
    state(CallLeftBehind(**CALL, left_by="", tasks=0, threads=0, rooms=1, place="room 'x'"))  # type: ignore[arg-type]
    assert state.left_behind == {
        "my-plugin": LeftCount(calls=2, tasks=4, threads=2, rooms=0, place="b() at a.py:9"),
        "": LeftCount(calls=1, rooms=1, place="room 'x'"),
    }
    assert not state.calls, "the call is over"


def test_a_call_that_was_given_to_nobody_is_listed_no_more() -> None:
    state = WorkerState()
    routed(state, at=time.time() - JOIN_SECONDS - 1)
    assert not state.calls


def test_the_cpu_share_is_that_of_the_last_samples() -> None:
    state = WorkerState()
    routed(state)
    (call,) = state.calls
    assert call.cpu_share is None
    call.cpu.extend([(10.0, 1.0), (12.0, 1.5)])
    assert call.cpu_share == pytest.approx(0.25)


def test_the_worker_is_known_by_its_events() -> None:
    state = WorkerState()
    state(WorkerRegistered(worker_id="AW_1"))
    state(CallRejected(job_id="AJ_2", room="r", cause="full", reason="x"))
    state(WorkerDraining(reason="signal", live=0))
    assert (state.worker_id, state.draining, state.rejects) == ("AW_1", True, {"full": 1})
    assert not state.calls


def test_a_call_is_known_a_while_after_its_end() -> None:
    state = WorkerState()
    routed(state)
    assert state.find_fields("AJ_1") == {"room": "r", "agent": "support", "distribution": "my-support-agent"}
    state(CallEnded(**CALL, reason="left", seconds=3.0))  # type: ignore[arg-type]
    assert state.find_fields("AJ_1")["agent"] == "support"
    for number in range(ENDED_REMEMBERED):
        state(CallEnded(job_id=f"other-{number}", room="r", reason="left", seconds=1.0))
    assert state.find_fields("AJ_1") == {}
