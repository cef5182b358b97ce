"""An agent fails in each place in which its code runs."""

from __future__ import annotations

import time

import pytest

from faults.conftest import Inject
from faults.failing_agents import HOW, PLACES

ENDS_ITS_CALL = ("init", "factory", "enter")
SEEN = {
    "init": "agent 'init-{how}' failed: .*faulty_agents.py:.*this call is ended",
    "factory": "agent 'factory-{how}' failed: .*faulty_agents.py:.*this call is ended",
    "enter": "agent 'enter-{how}' failed in on_enter: .*this call is ended",
    "tool": "executing tool: .*faulty_agents.py",
    "task": "a task raised .*faulty_agents.py|an error that nobody handled: .*faulty_agents.py",
    "callback": "a callback raised|an error that nobody handled: .*faulty_agents.py",
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("place", PLACES)
def test_an_agent_fails(inject: Inject, place: str, how: str) -> None:
    ends = place in ENDS_ITS_CALL
    lost = "that call" if ends else "what the tool would have told" if place == "tool" else f"that {place}"
    with inject(f"agent raises {HOW[how]} in {PLACES[place]}", lost=lost) as fault:
        caller = fault.call(f"{place}-{how}")
        if ends:
            fault.saw(SEEN[place].format(how=how))
            fault.ended_by_itself()
        else:
            caller.wait_for_agent()
        if place == "tool":
            assert caller.wait_for_answer(0.0, quiet=0.3), "the call goes on without the tool"
        if place in ("task", "callback"):
            # An error of a task that somebody may still ask for is told when nobody can any more.
            fault.hang_up()
        fault.saw(SEEN[place].format(how=how))


def test_five_calls_fail_one_after_the_other(inject: Inject) -> None:
    with inject("five failed calls, one after the other", lost="those calls") as fault:
        for _ in range(5):
            fault.call("init-raises")
        fault.saw("agent 'init-raises' failed")
        until = time.monotonic() + 10.0
        while (told := str(fault.messages()).count("agent 'init-raises' failed")) < 5 and time.monotonic() < until:
            time.sleep(0.1)
        assert told == 5
        fault.ended_by_itself()


def test_a_factory_returns_something_else(inject: Inject) -> None:
    with inject("factory returns a string", lost="that call") as fault:
        fault.call("factory-lies")
        fault.saw("agent 'factory-lies' .*not an Agent.*this call is ended")
        fault.ended_by_itself()


def test_an_agent_waits_for_ever(inject: Inject) -> None:
    lost = "the calls; they end 10 s after their callers have left, or after 10 s where no agent was built"
    with inject("agent waits for ever: on_enter, a tool, the factory", lost=lost) as fault:
        for agent in ("enter-hangs", "tool-hangs"):
            fault.call(agent).wait_for_agent()
        fault.everybody_leaves()
        fault.call("factory-hangs")
        fault.saw("agent 'enter-hangs' failed in on_enter: CallIsOver.*this call is ended", 15)
        fault.saw("executing tool: CallIsOver", 15)
        fault.saw("agent 'factory-hangs' .*not built within", 15)
        fault.ended_by_itself()


def test_agents_leave_tasks_behind(inject: Inject) -> None:
    with inject("agents leave an endless task, and a thousand of them, behind", lost="the tasks, 5 s later") as fault:
        for agent in ("leaks-task", "leaks-thousand"):
            fault.call(agent).wait_for_agent()
        fault.hang_up()
        fault.saw("agent 'leaks-task' left 1 tasks behind")
        fault.saw("agent 'leaks-thousand' left 1000 tasks behind")
