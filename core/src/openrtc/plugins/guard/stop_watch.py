"""`StopWatch`: notices that a process is told to stop while a package's code keeps it from hearing of that.

A handler of Python's runs in the main thread and one of asyncio's in the loop: code that blocks both would let a worker
go on, or begin again, that was told to end. A descriptor is written to whatever runs.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
import weakref

from openrtc.posix import find_signals

STOPS = frozenset(find_signals("SIGTERM", "SIGINT"))

# Kept, since a worker and packages replace it.
_set_wakeup_fd = signal.set_wakeup_fd
_looking = False


def _look_away() -> None:
    """Let no signal that a forked process gets be taken for one to this."""
    if _looking:
        _set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_look_away)


class StopWatch:
    """Looks at the signals that come to a process, and hands them on to the loop that there may be."""

    def __init__(self) -> None:
        self.told_at: float | None = None
        """When it was told to stop first, by the monotonic clock."""
        self._lock = threading.Lock()
        self._reads, self._writes = os.pipe()
        for descriptor in (self._reads, self._writes):
            os.set_blocking(descriptor, False)
            weakref.finalize(self, os.close, descriptor)
        self._loop = -1
        self._poll = select.poll()
        self._poll.register(self._reads, select.POLLIN)

    def begin(self) -> None:
        """Look from now on; in the main thread."""
        global _looking
        self._loop = _set_wakeup_fd(self._writes, warn_on_full_buffer=False)
        _looking = True

    def end(self) -> None:
        """Look no more; in the main thread."""
        global _looking
        _looking = False
        with self._lock:
            _set_wakeup_fd(self._loop)
            self._hand_on()
            self._loop = -1

    def wait(self, seconds: float) -> None:
        """Wait for so many seconds, or until there is a signal to look at; in any thread."""
        self._poll.poll(seconds * 1000)

    def look(self) -> None:
        """Look at the signals that have come; in any thread, and in what interrupts one."""
        if self._lock.acquire(blocking=False):
            try:
                self._hand_on()
            finally:
                self._lock.release()

    def _hand_on(self) -> None:
        try:
            numbers = os.read(self._reads, select.PIPE_BUF)
        except BlockingIOError:
            return
        if self.told_at is None and STOPS.intersection(numbers):
            self.told_at = time.monotonic()
        if self._loop != -1:
            with contextlib.suppress(OSError):  # its buffer is full: then it has enough to do
                os.write(self._loop, numbers)
