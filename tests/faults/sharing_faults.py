"""What one call leaves to another: nothing, but what a package makes for all of them."""

from __future__ import annotations

import re

from faults.stage import Fault, Injection
from waiting import poll_until

ROOMS_ARE_LEFT_WITHIN = 20.0
"""A call that failed while its room was connecting has 15 s; what it left behind is looked at after 5 more."""


def share_userdata(fault: Fault) -> None:
    """Give one userdata to all calls of an agent."""
    room = fault.room("shares-userdata")
    fault.stage.callers.join(room, fault.stage.api.token(room, "victim"), speaks=False)
    assert fault.is_rejected(room)
    assert "userdata in session_options is one object for all calls, and can be changed: a dict" in fault.operator


def share_client(fault: Fault) -> None:
    """End the call that made a client which all calls share."""
    assert fault.call("shares-client").wait_for_answer(0.0, quiet=0.3)
    fault.hang_up()
    wait_for_line(fault, r"agent 'shares-client': read\(\) at .* goes on after the call that began it")
    assert fault.call("shares-client").wait_for_answer(0.0, quiet=0.3), "the client answers the next call"


def join_further_rooms(fault: Fault) -> None:
    """Let agents join further rooms and leave none."""
    api = fault.stage.api
    fault.call("joins-rooms").wait_for_agent()
    fault.call("joins-rooms-and-fails")
    legs = [f"shares-userdata-{room}-{number}" for room in fault.rooms for number in (1, 2)]
    fault.wait_for_report("agent 'joins-rooms-and-fails' failed in on_enter", in_table=False)
    poll_until(lambda: all(api.agents_in(legs[:2]).values()), 10.0)
    fault.hang_up()
    fault.wait_for_report("agent 'joins-rooms-and-fails' had joined 2 more rooms", ROOMS_ARE_LEFT_WITHIN)
    fault.wait_for_report("agent 'joins-rooms' had joined 2 more rooms", ROOMS_ARE_LEFT_WITHIN)
    left_behind = r'openrtc_left_behind_total\{distribution="sharing-agents",kind="rooms"\} (\S+)'
    counted = re.search(left_behind, fault.metrics())
    assert counted and float(counted[1]) >= 4
    fault.stage.wait_until_agents_left(legs, 5.0)


def set_tracer_providers(fault: Fault) -> None:
    """Let each call set a tracer provider."""
    for _ in range(2):
        assert fault.call("traces").wait_for_answer(0.0, quiet=0.3)
    fault.hang_up()
    for room in fault.rooms:
        wait_for_line(fault, f"of {room} to the exporter of {room}")
    exported = [re.search(r" of (\S+) to the exporter of (\S+)", text) for _, text in fault.messages()]
    strangers = [found[0] for found in exported if found and found[1] not in (found[2], "nobody")]
    assert strangers == []


FAULTS = {
    "rooms stay joined": Injection(
        "agent joins two more rooms and does not leave them",
        "nothing; the rooms are left 5 s after the call, also after one that failed",
        join_further_rooms,
    ),
    "client of all calls": Injection("the call that made a client which all calls share ends", "nothing", share_client),
    "tracer providers": Injection(
        "each call sets a tracer provider", "nothing: each gets the spans of its call", set_tracer_providers
    ),
    "userdata of all calls": Injection(
        "userdata in AgentSpec is one dict for all callers", "that agent: it takes no calls", share_userdata
    ),
}


def wait_for_line(fault: Fault, pattern: str) -> None:
    """Wait for a line of the worker's log, of whatever level."""
    poll_until(lambda: any(re.search(pattern, text) for _, text in fault.messages()), 30.0)
