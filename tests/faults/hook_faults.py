"""A router, an observer or what gets a session fails, hangs or blocks."""

from __future__ import annotations

from functools import partial

from faults.stage import Fault, Injection

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


def fail_to_route(fault: Fault, name: str) -> None:
    """Let a router fail."""
    caller = fault.call(f"talker-{name}", subscribes=False)
    assert caller.wait_for_agent()["identity"].startswith("talker-"), "the room's name decides"
    fault.wait_for_report(f"router.*{ROUTERS[name][1]}")


def fail_with_session(fault: Fault, name: str) -> None:
    """Let a hook with the session fail."""
    caller = fault.call(f"talker-{name}")
    assert caller.wait_for_answer(0.0, quiet=0.3), "the call is held"
    fault.wait_for_report(SESSIONS[name][1])
    fault.hang_up()


def fail_to_observe(fault: Fault, name: str) -> None:
    """Let an observer fail."""
    caller = fault.call(f"talker-{name}")
    assert caller.wait_for_answer(0.0, quiet=0.3), "the call is held"
    fault.hang_up()
    if seen := OBSERVERS[name][1]:
        fault.wait_for_report(seen, 15)


FAULTS = {
    **{name: Injection(what, lost, partial(fail_to_route, name=name)) for name, (what, _, lost) in ROUTERS.items()},
    **{
        name: Injection(
            what, f"what the plugin would have done with the session{more}", partial(fail_with_session, name=name)
        )
        for name, (what, _, more) in SESSIONS.items()
    },
    **{
        name: Injection(what, "what the observer would have noted", partial(fail_to_observe, name=name))
        for name, (what, _) in OBSERVERS.items()
    },
}
