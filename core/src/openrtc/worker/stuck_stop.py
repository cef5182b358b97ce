"""`StuckStop`: ends a worker that was told to stop and whose loop does not come back.

Signals and a supervisor's orders are read by the loop. Code that blocks it for good, where it cannot be broken off,
would keep the worker alive for good. So a thread of its own reads which signals have come, before the loop does, and
the watchdog asks it whether the worker must end without its loop.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from openrtc.observe.stdio import flush_output
from openrtc.posix import find_signals, why_no_interrupt
from openrtc.worker.process_exit import STOPPED_AT_ONCE

logger = logging.getLogger("openrtc.worker")

GRACE_AFTER_SIGNAL = 5.0
"""Seconds that a blocked loop has after the first signal, and `GRACE_AFTER_SECOND` after the second one."""
GRACE_AFTER_SECOND = 2.0
"""As long as live calls have where the loop runs."""
FLUSH_LOG_SECONDS = 1.0
"""How long the log may take to be written: whoever reads it may have stopped to."""


class StuckStop:
    """Notes the signals and orders to stop; made in the main thread, with the loop running.

    Args:
        blocked_seconds: How long the loop must have been blocked before it is given up after a first signal.
        is_stopping: Whether the loop has heard of one.
        count_orders: Returns how many orders of a supervisor wait to be read by the loop. With one, signals to this
            process only drain it, however many come; None without.
    """

    def __init__(
        self, blocked_seconds: float, is_stopping: Callable[[], bool], count_orders: Callable[[], int] | None
    ) -> None:
        self._blocked_seconds = blocked_seconds
        self._is_stopping = is_stopping
        self._count_orders = count_orders
        hang_up = () if count_orders else ("SIGHUP",)  # with a supervisor, nobody but it has a use for that
        self._stops = {int(number) for number in find_signals("SIGTERM", "SIGINT", *hang_up)}
        self._came: list[float] = []
        """When a signal or an order came that the loop has not heard of."""
        self._target = -1
        self._ours: socket.socket | None = None
        if why_no_interrupt() is None:  # where signals wake no descriptor, there is nothing to read
            reader, self._ours = socket.socketpair()
            self._ours.setblocking(False)
            self.note_loop()
            threading.Thread(target=self._read, args=(reader,), daemon=True, name="signals").start()

    def note_loop(self) -> None:
        """Note that the loop runs; call it in the loop."""
        self._came.clear()
        if self._ours is None:
            return
        # The loop's own descriptor is handed on to. Anybody who adds a handler of signals to the loop sets it again.
        previous = signal.set_wakeup_fd(self._ours.fileno(), warn_on_full_buffer=False)
        if previous not in (-1, self._ours.fileno()):
            self._target = previous

    def close(self) -> None:
        """Let the loop alone hear of signals again; call it in the loop's thread."""
        if self._ours is not None:
            with contextlib.suppress(ValueError, OSError):  # its descriptor is closed already
                signal.set_wakeup_fd(self._target, warn_on_full_buffer=False)
            self._ours.close()
            self._ours = None

    def is_due(self, blocked: float) -> bool:
        """Whether the worker must end now without its loop.

        Args:
            blocked: How long the loop has been blocked, in seconds.
        """
        now = time.monotonic()
        if self._count_orders:
            self._came += [now] * (self._count_orders() - len(self._came))
        stopping = self._is_stopping()
        times = [0.0, *self._came] if stopping else self._came  # the first one long ago
        first, second = times[:1], times[1:2]
        if second and now - second[0] >= GRACE_AFTER_SECOND:
            return True
        return bool(first) and now - first[0] >= GRACE_AFTER_SIGNAL and blocked >= self._blocked_seconds

    def _read(self, reader: socket.socket) -> None:
        with reader:
            while numbers := reader.recv(4096):
                came = [time.monotonic() for number in numbers if number in self._stops]
                self._came += came if self._count_orders is None else came[: not self._came]
                with contextlib.suppress(OSError):  # the loop has ended
                    os.write(self._target, numbers)


def end_stuck_worker(blocked: float, place: str) -> None:
    """Log that the worker ends without its loop, and end it."""
    text = (
        "the worker was told to stop, and its loop has been blocked for %.1f s at %s: it ends now, with all its calls"
    )

    def log() -> None:
        logger.error(text, blocked, place)
        flush_output()

    logging_thread = threading.Thread(target=log, daemon=True, name="last-words")
    logging_thread.start()
    logging_thread.join(FLUSH_LOG_SECONDS)
    os._exit(STOPPED_AT_ONCE)
