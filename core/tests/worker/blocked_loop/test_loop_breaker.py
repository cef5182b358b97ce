"""Code that keeps the loop from running is ended at a line of its own, in whatever way the loop has come to it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from openrtc.observe.event_stream import EventStream
from openrtc.plugins.implementation import HookExit, Implementation
from openrtc.plugins.loop_hook import call_on_loop
from openrtc.posix import why_no_interrupt
from openrtc.session.containment import contain_exits
from openrtc.session.failure import LoopBroken
from openrtc.worker.blocked_loop import loop_breaker, watchdog
from openrtc.worker.blocked_loop.loop_breaker import BrokenCode, LoopBreaker
from openrtc.worker.blocked_loop.watchdog import TICK_SECONDS, Watchdog

pytestmark = pytest.mark.skipif(why_no_interrupt() is not None, reason=str(why_no_interrupt()))

AFTER = 0.2
"""Seconds; the next attempt comes as long after it."""
PATIENT = 5.0
"""Seconds after which what ends before is broken off, on a busy machine, too."""
LIMIT = 8.0
"""Seconds after which a test's own code gives up, so that a failure is one and no hang."""

SOURCE = f"""
import re
import time

from library_of_somebody import call, call_once, spin_quietly

until = time.monotonic


def spins():
    end = until() + {LIMIT}
    while until() < end:
        sum(range(100))


def spins_on_one_line():
    end = until() + {LIMIT}
    while until() < end: pass


def swallows_errors():
    end = until() + {LIMIT}
    while until() < end:
        try:
            sum(range(100))
        except Exception:
            continue


def swallows_all():
    end = until() + {LIMIT}
    while until() < end:
        try:
            time.sleep(0.001)
            sum(range(100))
            time.sleep(0.001)
        except BaseException:
            continue


def swallows_all_twice():
    end = until() + {LIMIT}
    while until() < end:
        try:
            swallows_all()
        except BaseException:
            pass


def cleans_up(done):
    try:
        spins()
    finally:
        sum(range(100))
        done.append("finally")


def sleeps():
    time.sleep({LIMIT})


def searches():
    return re.match("(a+)+$", "a" * 60 + "b")


def searches_after_a_while():
    end = until() + 0.3
    while until() < end: pass
    return re.match("(a+)+$", "a" * 60 + "b")


def searches_compiled():
    return re.compile("(a+)+$").match("a" * 60 + "b")


def generates():
    end = until() + {LIMIT}
    return sum(1 for _ in iter(int, 1) if until() > end and 1 / 0)


def is_called_again_and_again():
    pass


def lends_itself():
    call(is_called_again_and_again)


async def awaits():
    await nothing()
    spins()


async def nothing():
    pass
"""
LIBRARY = f"""
import time


def call(function):
    end = time.monotonic() + {LIMIT}
    while time.monotonic() < end:
        function()


def call_once(function, argument):
    function(argument)


def spin_quietly(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
"""


@pytest.fixture(autouse=True)
def _soon_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What spins here takes a whole processor."""
    monkeypatch.setattr(loop_breaker, "RETRY_SECONDS", AFTER)
    monkeypatch.setattr(loop_breaker, "CPU_SECONDS", 0.05)
    monkeypatch.setattr(watchdog, "SAME_CODE_SECONDS", 0.05)


@pytest.fixture
def agent() -> Iterator[Any]:
    """The module of an agent that spins, and a library of somebody else's."""
    modules = {name: ModuleType(name) for name in ("library_of_somebody", "agent_that_spins")}
    sys.modules.update(modules)
    for (name, module), source in zip(modules.items(), (LIBRARY, SOURCE), strict=True):
        exec(compile(source, f"{name}.py", "exec"), vars(module))
    yield modules["agent_that_spins"]
    for name in modules:
        del sys.modules[name]


class Watched:
    """A loop whose watchdog breaks code of that module off."""

    def __init__(self, after: float = AFTER) -> None:
        self.after = after
        self.find_packages = lambda job: frozenset({"agent_that_spins"})
        self.broken: list[BrokenCode] = []
        self.raised: list[BaseException] = []

    async def run(self, work: Callable[[asyncio.AbstractEventLoop], Any]) -> float:
        """Do ``work`` in the loop; returns for how many seconds the loop stood still."""
        loop = asyncio.get_running_loop()
        contain_exits(loop)
        breaker = LoopBreaker(loop, self.after, self.find_packages, lambda job: None, self.broken.append)
        watching = Watchdog(loop, EventStream(), lambda job_id: None, breaker)
        watching.start()
        await asyncio.sleep(2 * TICK_SECONDS)
        began = time.monotonic()
        with contextlib.suppress(Exception):
            await work(loop)
        stood_still = time.monotonic() - began
        await asyncio.sleep(2 * TICK_SECONDS)
        watching.stop()
        return stood_still


def in_task(function: Callable[[], Any]) -> Callable[[asyncio.AbstractEventLoop], Any]:
    async def call() -> None:
        result = function()
        if result is not None:
            await result

    return lambda loop: loop.create_task(call())


def in_callback(function: Callable[[], Any]) -> Callable[[asyncio.AbstractEventLoop], Any]:
    def start(loop: asyncio.AbstractEventLoop) -> Any:
        loop.call_soon(function)
        return asyncio.sleep(0.01)

    return start


@pytest.mark.parametrize(
    "name",
    ["spins", "spins_on_one_line", "swallows_errors", "generates", "awaits", "lends_itself", "sleeps", "swallows_all"],
)
def test_code_that_does_not_come_back_is_broken_off(agent: Any, name: str) -> None:
    watched = Watched()
    stood_still = asyncio.run(watched.run(in_task(getattr(agent, name))))
    assert AFTER - 0.1 < stood_still < LIMIT - 2.0
    (broken,) = watched.broken
    assert broken.place.startswith("agent_that_spins.py:")
    assert sys.gettrace() is None


@pytest.mark.parametrize("name", ["spins", "awaits"])
def test_a_hook_is_broken_off_as_its_plugins_and_not_as_the_agents(agent: Any, name: str) -> None:
    async def call_hook() -> None:
        function = getattr(agent, name)
        hook = Implementation("openrtc_session", "acme:ledger", "acme", function, (), False)
        try:
            await call_on_loop(hook, {}, 5.0, lambda _: None)
        except BaseException as error:  # whatever was raised in it
            watched.raised.append(error)

    watched = Watched()
    watched.find_packages = lambda job: frozenset()
    asyncio.run(watched.run(lambda loop: loop.create_task(call_hook())))
    (broken,) = watched.broken
    assert (broken.plugin, broken.place.partition(":")[0]) == ("acme:ledger", "agent_that_spins.py")
    assert [type(error) for error in watched.raised] == [LoopBroken if name == "spins" else HookExit]


@pytest.mark.parametrize("name", ["searches", "searches_compiled", "searches_after_a_while"])
def test_code_that_lets_no_other_thread_run_is_broken_off(agent: Any, name: str) -> None:
    watched = Watched()
    asyncio.run(watched.run(in_task(getattr(agent, name))))  # which would last for longer than anybody lives
    (broken,) = watched.broken
    assert (broken.place.partition(":")[0], broken.function) == ("agent_that_spins.py", f"{name}()")


def test_what_runs_when_such_code_has_ended_is_not_broken_off_for_it(agent: Any) -> None:
    watched = Watched()
    done = []

    def start(loop: asyncio.AbstractEventLoop) -> Any:
        # Of the library's, in one call of C: no thread runs meanwhile, and nothing can be broken off.
        loop.call_soon(lambda: agent.call_once(sum, range(8 * 10**7)))
        loop.call_soon(lambda: done.append(agent.is_called_again_and_again()))
        return asyncio.sleep(0.01)

    assert asyncio.run(watched.run(start)) > AFTER
    assert done == [None] and watched.broken == []


def test_code_that_catches_everything_on_two_levels_is_broken_off_in_the_end(agent: Any) -> None:
    watched = Watched()
    assert asyncio.run(watched.run(in_task(agent.swallows_all_twice))) < LIMIT
    (broken,) = watched.broken
    assert broken.tries > 1


def test_what_code_does_in_the_end_is_let_be(agent: Any) -> None:
    done: list[str] = []
    asyncio.run(Watched().run(in_task(lambda: agent.cleans_up(done))))
    assert done == ["finally"]


def test_a_callback_is_broken_off(agent: Any) -> None:
    watched = Watched()
    assert asyncio.run(watched.run(in_callback(agent.spins))) < 3.0
    assert [one.function for one in watched.broken] == ["spins()"]


def test_what_ends_before_is_let_be(agent: Any) -> None:
    watched = Watched(PATIENT)
    asyncio.run(watched.run(in_task(lambda: agent.time.sleep(2 * AFTER))))
    assert watched.broken == []


def test_nobody_elses_code_is_broken_off(agent: Any) -> None:
    watched = Watched()
    stood_still = asyncio.run(watched.run(in_task(lambda: agent.spin_quietly(5 * AFTER))))
    assert stood_still >= 5 * AFTER
    assert watched.broken == []


def test_many_short_steps_are_not_taken_for_one_that_does_not_come_back(agent: Any) -> None:
    async def main(watched: Watched) -> None:
        def step() -> None:
            agent.time.sleep(AFTER / 4)

        async def many(loop: asyncio.AbstractEventLoop) -> None:
            for _ in range(20):
                loop.call_soon(step)
            await asyncio.sleep(0.01)

        await watched.run(many)

    watched = Watched()
    asyncio.run(main(watched))
    assert watched.broken == []


def test_what_runs_after_a_block_is_not_broken_off_for_it(agent: Any) -> None:
    watched = Watched()
    done = []

    def start(loop: asyncio.AbstractEventLoop) -> Any:
        loop.call_soon(agent.spin_quietly, 3 * AFTER)  # no code of the agent's: traced in vain
        loop.call_soon(lambda: done.append(agent.is_called_again_and_again()))
        return asyncio.sleep(0.01)

    asyncio.run(watched.run(start))
    assert done == [None] and watched.broken == []


def test_the_exception_is_none_that_code_catches_by_accident() -> None:
    assert not issubclass(LoopBroken, Exception)
