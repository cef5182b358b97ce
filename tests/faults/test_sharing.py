"""What one call leaves to another: nothing, but what a package makes for all of them."""

from __future__ import annotations

import re
import time

from faults.conftest import Inject
from faults.stage import Fault, Stage

ROOMS_ARE_LEFT_WITHIN = 20.0
"""A call that failed while its room was connecting has 15 s; what it left behind is looked at after 5 more."""


def test_an_agent_would_give_one_userdata_to_all_its_calls(inject: Inject) -> None:
    with inject("userdata in AgentSpec is one dict for all callers", lost="that agent: it takes no calls") as fault:
        room = fault.room("shares-userdata")
        fault.stage.callers.join(room, fault.stage.api.token(room, "victim"), speaks=False)
        assert fault.is_rejected(room)
        assert "userdata in session_options is one object for all calls, and can be changed: a dict" in fault.operator


def test_a_client_of_all_calls_outlives_the_call_that_made_it(inject: Inject) -> None:
    with inject("the call that made a client which all calls share ends", lost="nothing") as fault:
        assert fault.call("shares-client").wait_for_answer(0.0, quiet=0.3)
        fault.hang_up()
        wait_for_line(fault, r"agent 'shares-client': read\(\) at .* goes on after the call that began it")
        assert fault.call("shares-client").wait_for_answer(0.0, quiet=0.3), "the client answers the next call"


def test_an_agent_joins_further_rooms_and_leaves_none(inject: Inject, stage: Stage) -> None:
    lost = "nothing; the rooms are left 5 s after the call, also after one that failed"
    with inject("agent joins two more rooms and does not leave them", lost=lost) as fault:
        fault.call("joins-rooms").wait_for_agent()
        fault.call("joins-rooms-and-fails")
        legs = [f"shares-userdata-{room}-{number}" for room in fault.rooms for number in (1, 2)]
        until = time.monotonic() + 10.0
        while not all(stage.api.agents_in(legs).values()) and time.monotonic() < until:
            time.sleep(0.1)
        assert all(stage.api.agents_in(legs[:2]).values())
        fault.hang_up()
        fault.wait_for_report("agent 'joins-rooms-and-fails' had joined 2 more rooms", ROOMS_ARE_LEFT_WITHIN)
        fault.wait_for_report("agent 'joins-rooms' had joined 2 more rooms", ROOMS_ARE_LEFT_WITHIN)
        left_behind = r'openrtc_left_behind_total\{distribution="sharing-agents",kind="rooms"\} (\S+)'
        counted = re.search(left_behind, fault.metrics())
        assert counted and float(counted[1]) >= 4
        until = time.monotonic() + 5.0
        while any(left := stage.api.agents_in(legs).values()) and time.monotonic() < until:
            time.sleep(0.1)
        assert not any(left)


def test_each_call_sets_a_tracer_provider(inject: Inject) -> None:
    with inject("each call sets a tracer provider", lost="nothing: each gets the spans of its call") as fault:
        first = fault.call("traces")
        assert first.wait_for_answer(0.0, quiet=0.3)
        assert fault.call("traces").wait_for_answer(0.0, quiet=0.3)
        fault.hang_up()
        for room in fault.rooms:
            wait_for_line(fault, f"of {room} to the exporter of {room}")
        exported = [re.search(r" of (\S+) to the exporter of (\S+)", text) for _, text in fault.messages()]
        strangers = [found[0] for found in exported if found and found[1] not in (found[2], "nobody")]
        assert strangers == []


def wait_for_line(fault: Fault, pattern: str, timeout: float = 15.0) -> None:
    """Wait for a line of the worker's log, of whatever level."""
    until = time.monotonic() + timeout
    while not any(re.search(pattern, text) for _, text in fault.messages()):
        assert time.monotonic() < until, f"no line like {pattern!r}\n{fault.log()[-3000:]}"
        time.sleep(0.1)
