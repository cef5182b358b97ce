from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import Event, LoopBlocked
from openrtc.runtime.live_call import LiveCall
from openrtc.session.containment import contain_exits
from openrtc.worker.blocked_loop import watchdog
from openrtc.worker.blocked_loop.watchdog import TICK_SECONDS, Watchdog, find_block
from waiting import wait_until


class Clock:
    """The watchdog's clock, which goes on as the tests tell it to, and not while the machine is busy."""

    def __init__(self) -> None:
        self.now, self.read = 0.0, 0

    def monotonic(self) -> float:
        self.read += 1
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watchdog, "time", clock)
    return clock


def block_for(clock: Clock, seconds: float) -> None:
    for _ in range(round(seconds / TICK_SECONDS)):
        clock.now += TICK_SECONDS
        looked = clock.read + 3
        while clock.read < looked:
            time.sleep(0.001)


class Watched:
    """A loop with a watchdog, and everything that it told."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.told: list[LoopBlocked] = []
        self.events = EventStream()
        self.events.subscribe(self._keep)

    def _keep(self, event: Event) -> None:
        assert isinstance(event, LoopBlocked)
        self.told.append(event)

    async def while_blocking(self, seconds: float, least: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        contain_exits(loop)
        watching = Watchdog(loop, self.events, lambda job_id: None, least=least)
        watching.start()
        await asyncio.sleep(2 * TICK_SECONDS)
        block_for(self.clock, seconds)
        if seconds:
            await wait_until(lambda: self.told and not self.told[-1].ongoing)
        watching.stop()


def test_a_block_is_told_while_it_lasts_and_once_more_when_it_is_over(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(clock)
    asyncio.run(watched.while_blocking(1.4))
    assert [event.ongoing for event in watched.told] == [True, True, False]
    assert watched.told[0].seconds < 1.0 <= watched.told[1].seconds < 1.4
    assert watched.told[2].seconds == pytest.approx(1.4, abs=0.1)
    for event in watched.told:
        assert event.function == "block_for()"
        assert "test_watchdog.py:" in event.place
    first, last = caplog.records[0], caplog.records[-1]
    assert "the loop has been blocked for" in first.getMessage() and "no call is answered" in first.getMessage()
    assert "the loop was blocked for" in last.getMessage()
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_in_a_console_only_what_a_calls_code_blocks_is_logged(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(clock)
    asyncio.run(watched.while_blocking(0.7, least=0.2))
    assert watched.told and not caplog.records, "it belongs to no call, such as what is imported at the start"


def test_a_short_block_is_one_event_and_one_warning(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(clock)
    asyncio.run(watched.while_blocking(0.3))
    assert [event.ongoing for event in watched.told] == [False]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_loop_that_is_not_blocked_is_not_told_of(clock: Clock) -> None:
    async def main(watched: Watched) -> None:
        watching = Watchdog(asyncio.get_running_loop(), watched.events, lambda job_id: None)
        watching.start()
        for _ in range(10):
            await wait_until(lambda: watching.beat_age() == 0)
            block_for(clock, TICK_SECONDS)
        watching.stop()

    watched = Watched(clock)
    asyncio.run(main(watched))
    assert watched.told == []


def test_no_thread_is_left_when_the_watch_ends(clock: Clock) -> None:
    before = threading.active_count()
    asyncio.run(Watched(clock).while_blocking(0.0))
    assert threading.active_count() == before


def test_the_agents_own_code_is_named_rather_than_the_library_that_it_calls() -> None:
    namespace = {"__name__": "their_agent.tools"}
    exec(compile("def slow(inner):\n    return inner()", "their_agent/tools.py", "exec"), namespace)
    call = LiveCall(
        events=EventStream(), job_id="j", room="r", agent="a", distribution="d", packages=frozenset({"their_agent"})
    )

    def library() -> str:
        import sys

        return find_block([sys._getframe(), sys._getframe(1)], call).place

    slow = namespace["slow"]
    assert callable(slow)
    assert slow(library) == "their_agent/tools.py:2"


def test_a_frame_of_plumbing_alone_is_named_all_the_same() -> None:
    assert find_block([], None).place == "an unknown place"
