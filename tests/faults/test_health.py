"""Clients of the health server that ask for nothing, or for somebody else."""

from __future__ import annotations

import contextlib
import json
import socket

from faults.conftest import Inject
from faults.stage import Stage
from waiting import poll_until

HALF_SENT = 400


def test_half_sent_requests_hold_up_no_call_and_no_other_request_for_long(inject: Inject, stage: Stage) -> None:
    what = f"{HALF_SENT} half-sent requests to the health port; a request for another host; a call"
    with inject(what, lost="the health server's answers, for 5 s") as fault:
        with contextlib.ExitStack() as halves:
            for _ in range(HALF_SENT):
                half = halves.enter_context(socket.create_connection(("127.0.0.1", stage.health_port)))
                with contextlib.suppress(ConnectionError):  # one too many is closed at once
                    half.sendall(b"GET /ready HTTP/1.1\r\nHost: 127")
            fault.call("alpha").wait_for("track_subscribed", 20.0)
            poll_until(lambda: stage.ask("/ready")[0] == 200)
        status, text = stage.ask("/ready", host="evil.example")
        assert status == 403 and "evil.example" in text
        fault.wait_for_report(r"^the health server answers 503: it has 64 connections$")
        poll_until(lambda: count_lines(fault.log()) >= HALF_SENT - 64)
        lines = [line for line in fault.log().splitlines() if "answers 503" in line]
        assert len(lines) < 10, "they are counted, and not repeated"


def count_lines(log: str) -> int:
    """Return how often the health server has said that it is full."""
    lines = [json.loads(line) for line in log.splitlines() if "answers 503" in line]
    return sum(line.get("repeated", 1) for line in lines)
