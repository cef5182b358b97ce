"""A router, an observer or what gets a session fails, hangs or blocks."""

from __future__ import annotations

import pytest

from faults.conftest import Inject
from faults.stage import Stage

NEXT = "the router's opinion: the next rule decides"
ROUTERS = {
    "router-raises": ("router raises an error", "LookupError", NEXT),
    "router-exits": ("router raises SystemExit", "SystemExit", NEXT),
    "router-lies": ("router answers 42", "42", NEXT),
    "router-blocks": ("router blocks for 4 s", "no answer within 2 s", f"2 s of that call, and {NEXT}"),
    "router-hangs": ("async router waits for ever", "no answer within 2 s", f"2 s of that call, and {NEXT}"),
}
OBSERVERS = {
    "observer-raises": ("observer raises an error", "openrtc_session_started failed: LookupError"),
    "observer-exits": ("observer raises SystemExit", "openrtc_session_started failed: .*SystemExit"),
    "observer-blocks": ("observer blocks for 3 s", ""),
    "observer-hangs": ("async observer waits for ever", "openrtc_session_started failed: TimeoutError"),
    "ending-raises": ("observer of the end raises an error", "openrtc_session_ended failed: LookupError"),
}

SESSIONS = {
    "session-raises": ("hook with the session raises an error", "ledger: openrtc_session failed: LookupError", ""),
    "session-blocks": (
        "hook with the session blocks the loop for 0.7 s",
        "by openrtc_session.. of plugin package 'faulty_hooks' at .*faulty_hooks.py:",
        ", and 0.7 s of every answer, twice at most",
    ),
    "session-hangs": (
        "async hook with the session waits for ever",
        "async-ledger: openrtc_session failed: TimeoutError: no answer within 2 s",
        ", and 2 s of that call",
    ),
    "session-stays": (
        "async hook with the session waits for ever and ignores its end",
        "async-ledger: openrtc_session failed: TimeoutError: no answer within 2 s",
        ", and 2 s of that call",
    ),
}


@pytest.mark.parametrize("name", ROUTERS)
def test_a_router_fails(inject: Inject, name: str) -> None:
    what, seen, lost = ROUTERS[name]
    with inject(what, lost=lost) as fault:
        caller = fault.call(f"talker-{name}")
        assert caller.wait_for_agent()["identity"].startswith("talker-"), "the room's name decides"
        fault.wait_for_report(f"router.*{seen}")


@pytest.mark.parametrize("name", SESSIONS)
def test_a_hook_with_the_session_fails(inject: Inject, name: str) -> None:
    what, seen, more = SESSIONS[name]
    with inject(what, lost=f"what the plugin would have done with the session{more}") as fault:
        caller = fault.call(f"talker-{name}")
        assert caller.wait_for_answer(0.0, quiet=0.3), "the call is held"
        fault.wait_for_report(seen)
        fault.hang_up()


@pytest.mark.parametrize("name", OBSERVERS)
def test_an_observer_fails(inject: Inject, stage: Stage, name: str) -> None:
    what, seen = OBSERVERS[name]
    with inject(what, lost="what the observer would have noted") as fault:
        caller = fault.call(f"talker-{name}")
        assert caller.wait_for_answer(0.0, quiet=0.3), "the call is held"
        fault.hang_up()
        if seen:
            fault.wait_for_report(seen, 15)
