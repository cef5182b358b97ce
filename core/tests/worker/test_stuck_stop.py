from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from openrtc.posix import call_on_signals, why_no_interrupt
from openrtc.worker import stuck_stop
from openrtc.worker.stuck_stop import StuckStop

pytestmark = pytest.mark.skipif(why_no_interrupt() is not None, reason=str(why_no_interrupt()))


class Watch:
    """What the watchdog asks, with time cut short."""

    def __init__(
        self, *, is_stopping: Callable[[], bool] = lambda: False, count_orders: Callable[[], int] | None = None
    ) -> None:
        self.stuck = StuckStop(1.0, is_stopping, count_orders)

    def is_due(self, blocked: float) -> bool:
        return self.stuck.is_due(blocked)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut the times that a blocked loop has short."""
    monkeypatch.setattr(stuck_stop, "GRACE_AFTER_SIGNAL", 0.4)
    monkeypatch.setattr(stuck_stop, "GRACE_AFTER_SECOND", 0.1)
    yield
    signal.set_wakeup_fd(-1)


def stop_this_process() -> None:
    signal.raise_signal(signal.SIGTERM)
    time.sleep(0.15)  # the thread that reads it needs a moment


def in_loop(work: Callable[[], None]) -> list[signal.Signals]:
    """Block a loop that hears of SIGTERM with ``work``; returns what it has heard after that."""
    heard: list[signal.Signals] = []

    async def main() -> None:
        call_on_signals(heard.append, "SIGTERM")
        work()
        await asyncio.sleep(0.2)

    asyncio.run(main())
    return heard


def test_a_blocked_loop_has_some_time_after_a_signal(hurried: None) -> None:
    def work() -> None:
        watch = Watch()
        assert not watch.is_due(100.0)
        stop_this_process()
        assert not watch.is_due(100.0), "it may come back"
        time.sleep(0.4)
        assert not watch.is_due(0.5), "it has not been blocked for long"
        assert watch.is_due(1.0)
        watch.stuck.close()

    assert in_loop(work) == [signal.SIGTERM], "the loop hears of it as well"


def test_a_second_signal_leaves_it_less_time(hurried: None) -> None:
    def work() -> None:
        watch = Watch()
        stop_this_process()
        assert not watch.is_due(0.1)
        stop_this_process()
        assert watch.is_due(0.1)
        watch.stuck.close()

    in_loop(work)


def test_a_signal_that_the_loop_has_heard_of_counts_as_the_first(hurried: None) -> None:
    def work() -> None:
        watch = Watch(is_stopping=lambda: True)
        assert not watch.is_due(0.9) and watch.is_due(1.0)
        stop_this_process()
        assert watch.is_due(0.1)
        watch.stuck.close()

    in_loop(work)


def test_a_supervisors_orders_count_and_signals_to_the_worker_only_drain_it(hurried: None) -> None:
    orders = 0

    def work() -> None:
        nonlocal orders
        watch = Watch(count_orders=lambda: orders)
        for _ in range(3):
            stop_this_process()
        assert not watch.is_due(0.9)
        watch.stuck.note_loop()
        orders = 2
        assert not watch.is_due(0.9)
        time.sleep(0.15)
        assert watch.is_due(0.9)
        watch.stuck.close()

    in_loop(work)


def test_a_handler_that_somebody_adds_to_the_loop_changes_nothing(hurried: None) -> None:
    def work() -> None:
        watch = Watch()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)
        watch.stuck.note_loop()
        stop_this_process()
        time.sleep(0.4)
        assert watch.is_due(1.0)
        watch.stuck.close()

    assert in_loop(work) == [signal.SIGTERM]


def test_no_thread_is_left(hurried: None) -> None:
    before = threading.active_count()

    def work() -> None:
        watch = Watch()
        assert threading.active_count() == before + 1
        watch.stuck.close()
        time.sleep(0.1)
        assert threading.active_count() == before

    in_loop(work)
