from __future__ import annotations

import time

import pytest

from openrtc.observe.board import JOIN_SECONDS, REMEMBERED, Board
from openrtc.observe.events import (
    CallEnded,
    CallError,
    CallRejected,
    CallRouted,
    CallStarted,
    LoopBlocked,
    TurnCompleted,
    WorkerDraining,
    WorkerRegistered,
)

CALL = {"job_id": "AJ_1", "room": "r", "agent": "support", "distribution": "my-support-agent"}


def routed(board: Board, *, at: float | None = None) -> None:
    board(CallRouted(**CALL, rule="room.prefix", reason="x", ms=0.1, time=at or time.time()))  # type: ignore[arg-type]


def test_a_call_is_on_the_board_from_its_routing_to_its_end() -> None:
    board = Board()
    routed(board)
    assert board.calls[0].to_json()["state"] == "joining"
    board(CallStarted(**CALL, setup_seconds=0.2, pid=77))  # type: ignore[arg-type]
    board(TurnCompleted(**CALL, latency_seconds=0.9))  # type: ignore[arg-type]
    board(TurnCompleted(**CALL, latency_seconds=None))  # type: ignore[arg-type]
    board(CallError(**CALL, where="tool", error="x"))  # type: ignore[arg-type]
    (call,) = [row.to_json() for row in board.calls]
    assert (call["state"], call["rule"], call["pid"]) == ("live", "room.prefix", 77)
    assert (call["turns"], call["last_latency_seconds"], call["errors"]) == (2, None, 1)
    board(CallEnded(**CALL, reason="left", seconds=3.0, failed=True))  # type: ignore[arg-type]
    assert not board.calls
    assert (board.ended, board.failed) == (1, 1)


def test_a_block_counts_while_it_lasts_and_once_when_it_is_over() -> None:
    board = Board()
    routed(board)
    for seconds in (1.0, 2.0):
        board(LoopBlocked(**CALL, seconds=seconds, ongoing=True))  # type: ignore[arg-type]
    assert (board.calls[0].to_json()["blocked_ms"], board.blocked) == (2000.0, 0.0)
    board(LoopBlocked(**CALL, seconds=2.5, ongoing=False))  # type: ignore[arg-type]
    board(LoopBlocked(job_id="", room="", seconds=0.5, ongoing=False))
    assert (board.calls[0].to_json()["blocked_ms"], board.blocked) == (2500.0, 3.0)


def test_a_call_that_was_given_to_nobody_leaves_the_board() -> None:
    board = Board()
    routed(board, at=time.time() - JOIN_SECONDS - 1)
    assert not board.calls


def test_the_cpu_share_is_that_of_the_last_samples() -> None:
    board = Board()
    routed(board)
    (call,) = board.calls
    assert call.cpu_share is None
    call.cpu.extend([(10.0, 1.0), (12.0, 1.5)])
    assert call.cpu_share == pytest.approx(0.25)


def test_the_worker_is_known_by_its_events() -> None:
    board = Board()
    board(WorkerRegistered(worker_id="AW_1"))
    board(CallRejected(job_id="AJ_2", room="r", cause="full", reason="x"))
    board(WorkerDraining(reason="signal", live=0))
    assert (board.worker_id, board.draining, board.rejects) == ("AW_1", True, {"full": 1})
    assert not board.calls


def test_a_call_is_known_a_while_after_its_end() -> None:
    board = Board()
    routed(board)
    assert board.fields_of("AJ_1") == {"room": "r", "agent": "support", "distribution": "my-support-agent"}
    board(CallEnded(**CALL, reason="left", seconds=3.0))  # type: ignore[arg-type]
    assert board.fields_of("AJ_1")["agent"] == "support"
    for number in range(REMEMBERED):
        board(CallEnded(job_id=f"other-{number}", room="r", reason="left", seconds=1.0))
    assert board.fields_of("AJ_1") == {}
