"""A signal to stop is noticed whatever runs, and is handed on to the loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from openrtc.plugins.guard.stop_watch import StopWatch
from waiting import PATIENCE_SECONDS, wait_until


@pytest.fixture(autouse=True)
def stops() -> Iterator[None]:
    """SIGTERM does nothing, and who is woken up by signals is the same as before."""
    before, descriptor = signal.signal(signal.SIGTERM, lambda *_: None), signal.set_wakeup_fd(-1)
    yield
    assert signal.set_wakeup_fd(descriptor) == -1
    signal.signal(signal.SIGTERM, before)


def test_a_signal_is_seen_by_another_thread_while_it_is_looked_for() -> None:
    watch = StopWatch()
    watch.begin()
    waiting = threading.Thread(target=watch.wait, args=(PATIENCE_SECONDS,))
    waiting.start()
    os.kill(os.getpid(), signal.SIGTERM)
    waiting.join(PATIENCE_SECONDS)
    watch.look()
    told_at = watch.told_at
    assert told_at is not None
    os.kill(os.getpid(), signal.SIGTERM)
    watch.end()
    assert watch.told_at == told_at, "the first one counts"


def test_no_other_signal_tells_to_stop() -> None:
    watch = StopWatch()
    before = signal.signal(signal.SIGURG, lambda *_: None)
    try:
        watch.begin()
        os.kill(os.getpid(), signal.SIGURG)
        watch.end()
    finally:
        signal.signal(signal.SIGURG, before)
    assert watch.told_at is None


async def test_the_loop_hears_of_a_signal_meanwhile_and_afterwards() -> None:
    heard: list[int] = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, heard.append, 1)
    try:
        watch = StopWatch()
        watch.begin()
        os.kill(os.getpid(), signal.SIGTERM)
        watch.wait(PATIENCE_SECONDS)
        watch.look()
        await wait_until(lambda: len(heard) == 1)
        os.kill(os.getpid(), signal.SIGTERM)
        watch.end()
        await wait_until(lambda: len(heard) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        await wait_until(lambda: len(heard) == 3)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


@pytest.mark.process
def test_a_signal_to_a_process_that_was_forked_meanwhile_is_none_to_this_one() -> None:
    watch = StopWatch()
    watch.begin()
    pid = os.fork()
    if not pid:
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(7)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    watch.end()
    assert watch.told_at is None


def test_its_descriptors_are_closed_with_it() -> None:
    watch = StopWatch()
    descriptors = (watch._reads, watch._writes)
    del watch
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
