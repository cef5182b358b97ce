"""An agent fails in each place in which its code runs."""

from __future__ import annotations

import re
import time
from functools import partial

from faults.failing_agents import HOW, PLACES, WAYS
from faults.stage import HANG_UP_SECONDS, Fault, Injection
from waiting import poll_until

ENDS_ITS_CALL = ("init", "factory", "enter")
SEEN = {
    "init": "agent 'init-{how}' failed: .*faulty_agents.py:.*this call is ended",
    "factory": "agent 'factory-{how}' failed: .*faulty_agents.py:.*this call is ended",
    "enter": "agent 'enter-{how}' failed in on_enter: .*this call is ended",
    "tool": "executing tool: .*faulty_agents.py",
    "task": "a task raised .*faulty_agents.py|an error that nobody handled: .*faulty_agents.py",
    "callback": "a callback raised|an error that nobody handled: .*faulty_agents.py",
}


def fail_in(fault: Fault, place: str, how: str) -> None:
    """Let an agent fail in a place, and look at its call."""
    caller = fault.call(f"{place}-{how}", subscribes=place == "tool")
    if place in ENDS_ITS_CALL:
        fault.wait_for_report(SEEN[place].format(how=how))
        fault.wait_until_ended()
    else:
        caller.wait_for_agent()
    if place == "tool":
        assert caller.wait_for_answer(0.0, quiet=0.3), "the call goes on without the tool"
    if place in ("task", "callback"):
        # An error of a task that somebody may still ask for is logged when nobody can any more.
        fault.hang_up()
    fault.wait_for_report(SEEN[place].format(how=how))


def describe_loss(place: str) -> str:
    """Return what is lost when an agent fails in a place."""
    if place in ENDS_ITS_CALL:
        return "that call"
    return "the tool's answer" if place == "tool" else f"that {place}"


FAILING = {
    f"{place}-{how}": Injection(
        f"agent raises {error} in {where}", describe_loss(place), partial(fail_in, place=place, how=how)
    )
    for place, where in PLACES.items()
    for how, error in HOW.items()
}


def fail_after_hand_off(fault: Fault, agent: str) -> None:
    """Let an agent fail after a hand-off, and look at its call."""
    fault.call(agent, subscribes=False)
    fault.wait_for_report(f"agent '{agent}' failed in on_enter: .*faulty_agents.py:.*this call is ended")
    fault.wait_until_ended()


FAILING_AFTER_HAND_OFF = {
    f"{way}-{how}": Injection(
        f"agent raises {HOW[how]} in on_enter after {after}",
        "that call",
        partial(fail_after_hand_off, agent=f"{way}-{how}"),
    )
    for way, after in WAYS.items()
    for how in ("raises", "exits")
}


def use_entrypoints(fault: Fault) -> None:
    """Let agents of sessions that entrypoints have made fail."""
    fault.call("entrypoint-hangs", subscribes=False).wait_for_agent()
    for agent in ("entrypoint-raises", "entrypoint-exits"):
        fault.call(agent, subscribes=False)
        fault.wait_for_report(f"agent '{agent}' failed in on_enter: .*faulty_agents.py:.*this call is ended")
    fault.everybody_leaves()
    fault.wait_for_report("agent 'entrypoint-hangs' failed in on_enter: CallIsOver.*this call is ended", 15)
    fault.wait_until_ended()


def wait_for_ever(fault: Fault) -> None:
    """Let agents wait for ever."""
    for agent in ("enter-hangs", "tool-hangs"):
        fault.call(agent, subscribes=False).wait_for_agent()
    fault.everybody_leaves()
    fault.call("factory-hangs", subscribes=False)
    fault.wait_for_report("agent 'enter-hangs' failed in on_enter: CallIsOver.*this call is ended", 15)
    fault.wait_for_report("executing tool: CallIsOver", 15)
    fault.wait_for_report("agent 'factory-hangs' .*not built within", 15)
    fault.wait_until_ended()


def fail_five_times(fault: Fault) -> None:
    """Let five calls fail."""
    for _ in range(5):
        fault.call("init-raises", subscribes=False)
    poll_until(lambda: str(fault.messages()).count("agent 'init-raises' failed") == 5, 10.0)
    fault.wait_for_report("agent 'init-raises' failed")
    fault.wait_until_ended()


def return_something_else(fault: Fault) -> None:
    """Let a factory return no agent."""
    fault.call("factory-lies", subscribes=False)
    fault.wait_for_report("agent 'factory-lies' .*not an Agent.*this call is ended")
    fault.wait_until_ended()


def wait_in_all_threads(fault: Fault) -> None:
    """Let calls wait in all threads that they have, and another one ask for one."""
    for _ in range(6):
        fault.call("waits-in-threads", subscribes=False).wait_for_agent()
    asks = fault.call("asks-thread")
    assert asks.wait_for_answer(0.0, timeout=10.0) is not None
    line = fault.wait_for_report("asked a thread for", in_table=False)
    assert float(line.removeprefix("asked a thread for ").removesuffix(" s")) < 1.0, "it does not wait for theirs"
    fault.hang_up()
    fault.wait_for_report(
        r"agent 'waits-in-threads' left \d+ threads behind .* time.sleep\(\) at .*faulty_agents.py", 15.0
    )


def take_the_loop(fault: Fault) -> None:
    """Let an agent stop the loop, and another one cancel all tasks of it."""
    fault.call("stops-loop", subscribes=False).wait_for_agent()
    fault.wait_for_report("somebody's code stopped the loop of all calls; the worker goes on")
    fault.call("cancels-all", subscribes=False).wait_for_agent()
    time.sleep(2.0)
    fault.everybody_leaves()
    fault.wait_until_ended()


def subscribe_to_nothing(fault: Fault) -> None:
    """Let nobody hear an agent."""
    fault.call("talker", subscribes=False).wait_for_agent()
    fault.wait_for_report("agent 'talker': nobody has heard what it says for 30 s: .*; this call is ended", 40.0)
    fault.wait_until_ended()


def wait_for_ever_after_hand_off(fault: Fault) -> None:
    """Let agents wait for ever where a session changes agents."""
    for agent in ("updated-hangs", "exit-hangs", "task-tool-hangs", "tool-stays"):
        fault.call(agent, subscribes=False).wait_for_agent()
    time.sleep(1.0)  # until the tools run
    fault.everybody_leaves()
    fault.wait_for_report("agent 'updated-hangs' failed in on_enter: CallIsOver.*this call is ended", 15)
    fault.wait_for_report("Error in _traceable_on_exit: CallIsOver.*faulty_agents.py", 15)
    fault.wait_for_report("executing tool: CallIsOver.*faulty_agents.py", 15)
    fault.wait_for_report("agent 'tool-stays': its session was not closed in time", 15)
    fault.wait_until_ended(10.0)


def fail_in_shutdown_callback(fault: Fault) -> None:
    """Let a shutdown callback fail."""
    fault.call("shutdown-fails", subscribes=False).wait_for_agent()
    fault.everybody_leaves()
    fault.wait_for_report("the slow callback has saved", 15, in_table=False)
    fault.wait_for_report("agent 'shutdown-fails': the shutdown callback .*bad failed: ValueError: no ledger at")


def leave_tasks_behind(fault: Fault) -> None:
    """Let agents leave tasks behind."""
    for agent in ("leaks-task", "leaks-thousand"):
        fault.call(agent, subscribes=False).wait_for_agent()
    fault.hang_up()
    fault.wait_for_report("agent 'leaks-task' left 1 tasks behind")
    fault.wait_for_report("agent 'leaks-thousand' left 1000 tasks behind")
    left = re.search(r'openrtc_left_behind_total\{distribution="faulty-agents",kind="tasks"\} (\S+)', fault.metrics())
    assert left and float(left[1]) >= 1001


WAITING = {
    "nobody subscribes": Injection(
        "caller subscribes to no track of an agent that speaks, and types nothing", "that call", subscribe_to_nothing
    ),
    "after a hand-off": Injection(
        "agent waits for ever: on_enter after a hand-off, on_exit, a tool of an AgentTask, one that ignores its end",
        f"the calls; they end a few seconds after hang_up_seconds ({HANG_UP_SECONDS} here), or 10 s for on_enter",
        wait_for_ever_after_hand_off,
    ),
    "for ever": Injection(
        "agent waits for ever: on_enter, a tool, the factory",
        "the calls; they end 10 s after their callers have left, or after 10 s where no agent was built",
        wait_for_ever,
    ),
    "of an entrypoint": Injection(
        "agent of a session that an entrypoint has made: its on_enter raises, exits after a hand-off, waits for ever",
        "the calls; the last one ends 10 s after its caller has left",
        use_entrypoints,
    ),
    "leaves tasks": Injection(
        "agents leave an endless task, and a thousand of them, behind", "the tasks, 5 s later", leave_tasks_behind
    ),
    "in a shutdown callback": Injection(
        "one shutdown callback raises an error while another one saves", "nothing", fail_in_shutdown_callback
    ),
    "takes the loop": Injection(
        "agent stops the loop; agent cancels all tasks of the loop", "the second one's call", take_the_loop
    ),
}
SEVERAL = {
    "in all threads": Injection(
        "six calls of an agent wait for 15 s in ten threads each; another one asks for a thread, and is heard",
        "nothing; the threads run on until they are done",
        wait_in_all_threads,
    ),
    "five times": Injection("five failed calls, one after the other", "those calls", fail_five_times),
    "factory-lies": Injection("factory returns a string", "that call", return_something_else),
}
FAULTS = WAITING | FAILING | FAILING_AFTER_HAND_OFF | SEVERAL
