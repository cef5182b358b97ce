"""Faults in one worker, beside a bystander's call: side by side, and one by one where others would notice them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import time

import pytest

from faults import agent_faults, drift_faults, hook_faults, metadata_faults, model_faults, room_faults, sharing_faults
from faults.conftest import Inject, InjectSideBySide, Stages
from faults.stage import BREAK_SECONDS, Stage
from waiting import poll_until

FAULTS = room_faults.FAULTS | drift_faults.FAULTS | sharing_faults.FAULTS | agent_faults.FAULTS
FAULTS |= model_faults.FAULTS | hook_faults.FAULTS | metadata_faults.FAULTS
"""Those that wait longest come first."""
HALF_SENT = 400
STANDS_STILL = 12.0
"""Seconds without a reader: a pipe alone would be full after the first tenth of one."""


@pytest.mark.timeout(400)  # the first one waits for all
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault(inject_side_by_side: InjectSideBySide, name: str) -> None:
    inject_side_by_side(FAULTS)


def test_an_agent_that_fails_while_it_joins_is_gone_at_once(inject: Inject) -> None:
    with inject("agent fails in on_enter while it joins: its caller sees it for a second at most", lost="it") as fault:
        seen = []
        for _ in range(5):
            caller = fault.call("enter-raises", subscribes=False)
            joined, left = caller.wait_for_agent(), caller.wait_for("participant_disconnected", 10.0, kind="AGENT")
            seen.append(left["at"] - joined["at"])
        fault.wait_for_report("agent 'enter-raises' failed in on_enter")
        assert max(seen) < 1.0, seen


def test_half_sent_requests_hold_up_no_call_and_no_other_request_for_long(inject: Inject, stage: Stage) -> None:
    what = f"{HALF_SENT} half-sent requests to the health port; a request for another host; a call"
    with inject(what, lost="the health server's answers, for 5 s") as fault:
        with contextlib.ExitStack() as halves:
            for _ in range(HALF_SENT):
                half = halves.enter_context(socket.create_connection(("127.0.0.1", stage.health_port)))
                with contextlib.suppress(ConnectionError):  # one too many is closed at once
                    half.sendall(b"GET /ready HTTP/1.1\r\nHost: 127")
            fault.call("alpha").wait_for("track_subscribed")
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


def test_an_agent_blocks_the_loop_for_a_moment(inject: Inject) -> None:
    with inject("agent blocks the loop for 0.1 s", lost="nothing") as fault:
        fault.call("blocks-short").wait_for_agent()


@pytest.mark.parametrize(("agent", "seconds"), [("blocks-second", 1.0), ("blocks-three", 3.0)])
def test_an_agent_blocks_the_loop(inject: Inject, stage: Stage, agent: str, seconds: float) -> None:
    with inject(f"agent blocks the loop for {seconds:g} s", lost=f"{seconds:g} s of every answer") as fault:
        fault.blocked = seconds
        fault.call(agent)
        by = rf"by on_enter\(\) of agent '{agent}' at .*faulty_agents.py"
        fault.wait_for_report(rf"the loop has been blocked for .* {by}", 15.0)
        if seconds == 3.0:
            poll_until(lambda: '"reason": "blocked"' in stage.ask("/ready")[1], 2.5)
            assert stage.ask("/worker")[0] == 200
        over = rf"the loop was blocked for .* {by}.* no call was answered meanwhile"
        fault.wait_for_report(over, 15.0, in_table=False)


def test_an_agent_spins_for_ever_when_its_caller_has_hung_up(inject: Inject) -> None:
    with inject(
        "agent tries again for ever, without coming back to the loop, when its caller has hung up; --break-seconds "
        f"{BREAK_SECONDS}",
        lost=f"that call, {BREAK_SECONDS + 2} s of every answer, and {BREAK_SECONDS - 1} s of what agents say",
    ) as fault:
        fault.blocked = BREAK_SECONDS + 2  # which it takes to clear away the thousands of speeches that it has begun
        fault.call("spins-after-hang-up").wait_for_agent()
        fault.everybody_leaves()
        fault.wait_for_report(r"agent 'spins-after-hang-up' kept the loop .*, and was broken off in .*", 30.0)


def test_a_reader_of_the_log_stands_still(inject: Inject, stage: Stage) -> None:
    lost = "lines of the log, which are counted; no call"
    what = f"reader of the log stands still for {STANDS_STILL:.0f} s, an agent writes 8 MB, "
    with inject(what + f"{room_faults.BURST} dispatches; nobody reads --metrics-jsonl", lost=lost) as fault:
        began = time.monotonic()
        stage.worker.pause_reading()
        fault.call("talkative").wait_for_agent()
        room_faults.make_many_rooms(fault)
        fault.call("alpha-new").wait_for("track_subscribed")
        time.sleep(max(0.0, STANDS_STILL - (time.monotonic() - began)))
        stage.worker.go_on_reading()
        said = fault.wait_for_report(r"^\d+ lines were dropped because nobody read the log for \d+ s$", 20.0)
        assert int(said.split()[0]) > 1000
    starts = ("{", "printed .", "by a handler of its own .", "written by the system .", "native .", "by a child")
    wrong = [line for line in fault.log().splitlines() if not line.startswith(starts)]
    assert not wrong, "whole lines"
    assert not [line for line in fault.log().splitlines() if line[:1] == "{" and not json.loads(line)]
    reader = os.open(stage.events, os.O_RDONLY | os.O_NONBLOCK)
    time.sleep(1.0)  # the writer tries again every half second
    first = os.read(reader, 65536).decode().splitlines()[0]
    os.close(reader)
    assert json.loads(first)["event"] == "worker_started", "a reader that comes late gets what has waited"


def test_an_agent_takes_the_log_for_itself(inject: Inject, stage: Stage) -> None:
    with inject("agent mutes and reformats all of logging, in __init__ and in on_enter", lost="nothing") as fault:
        fault.call("vandal").wait_for("track_subscribed")
        room = fault.call("alpha-after")
        room.wait_for("track_subscribed")
    lines = fault.log().splitlines()
    assert not [line for line in lines if line.startswith("mine: ")]
    routed = [line for line in lines if re.search(r"room 'alpha-after.*alpha by", line)]
    assert len(routed) == 1 and json.loads(routed[0])["logger"] == "openrtc.routing"


def test_an_agent_takes_the_signals_for_itself(inject: Inject, stages: Stages, stage: Stage) -> None:
    with inject("agent sets its own handlers of SIGTERM and SIGINT, and removes them", lost="nothing") as fault:
        fault.call("deaf").wait_for("track_subscribed")
        fault.call("deaf").wait_for("track_subscribed")
        time.sleep(1.0)
        fault.hang_up()
        fault.wait_until_ended()
        fault.call("deaf").wait_for("track_subscribed")
    stages.check()  # this worker ends now
    stage.bystander.leave()
    stage.worker.signal()
    stage.worker.wait_for_log("draining: ")
    assert stage.worker.wait(20.0) == 0
