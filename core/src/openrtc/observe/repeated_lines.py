"""Counts log lines that come again and again, instead of writing each.

A fault that repeats itself may log hundreds of lines a second: a worker without descriptors has been seen to write
19,322 in a minute, between which no other line was found. Only lines that are the same to the letter, but for their
time, are counted: what differs in a room, a number or a place is another line.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

WINDOWS = (1.0, 10.0, 60.0)
"""Seconds for which a line that has been written is counted where it comes again; each time that it does, the next
window begins, and the last one is repeated."""
MOST_REMEMBERED = 500
"""Different lines that are remembered at most; the oldest are forgotten, and their counts told, before others are."""


@dataclass(slots=True)
class _Seen:
    """A line that was written a moment ago."""

    since: float
    until: float
    written: int = 1
    more: int = 0
    window: int = 0


class RepeatedLines:
    """Writes lines, and counts those that were written a moment ago; for use from any thread.

    Args:
        write: Writes one line.
        describe: Returns a line that says how often one came again: takes the line without its time, the number, and
            in how many seconds.
    """

    _due: float
    """When the next count is told; infinity while there is none."""

    def __init__(self, write: Callable[[str], None], describe: Callable[[str, int, float], str]) -> None:
        self._write = write
        self._describe = describe
        self._start_anew()

    def put(self, clock: str, line: str, most: int) -> None:
        """Write a line, or count it.

        Args:
            clock: How it begins: with its time.
            line: What follows, by which it is compared.
            most: How often it is written within a window before it is counted.
        """
        if os.getpid() != self._pid:  # a forked child: the counts are its parent's, and so is a lock that was held
            self._start_anew()
        now = time.monotonic()
        with self._changed:
            if now >= self._due:  # the thread is late, or the system gave none
                self._tell_due(now)
            seen = self._seen.get(line)
            if seen is None or now >= seen.until:
                self._remember(line, now)
            elif seen.written < most:
                seen.written += 1
            else:
                seen.more += 1
                if seen.until < self._due:
                    self._due = seen.until
                    self._watch_from_now()
                return
            self._write(clock + line)

    def flush(self) -> None:
        """Tell all counts now."""
        if os.getpid() != self._pid:
            return
        with self._changed:
            for line, seen in list(self._seen.items()):
                if seen.more:
                    self._tell(line, seen, time.monotonic())

    def _start_anew(self) -> None:
        self._pid = os.getpid()
        self._seen: dict[str, _Seen] = {}
        # Reentrant: a handler of a signal, or the collector, may log while this thread writes.
        self._changed = threading.Condition(threading.RLock())
        self._due = float("inf")
        self._watching = False

    def _remember(self, line: str, now: float) -> None:
        self._seen.pop(line, None)
        if len(self._seen) >= MOST_REMEMBERED:
            oldest = next(iter(self._seen))
            forgotten = self._seen.pop(oldest)
            if forgotten.more:
                self._write(self._describe(oldest, forgotten.more, now - forgotten.since))
        self._seen[line] = _Seen(now, now + WINDOWS[0])

    def _tell_due(self, now: float) -> None:
        for line, seen in list(self._seen.items()):
            if seen.more and now >= seen.until:
                self._tell(line, seen, now)
        self._due = min((seen.until for seen in self._seen.values() if seen.more), default=float("inf"))

    def _tell(self, line: str, seen: _Seen, now: float) -> None:
        times, seconds = seen.more, now - seen.since
        seen.more, seen.since = 0, now
        seen.window = min(seen.window + 1, len(WINDOWS) - 1)
        seen.until = now + WINDOWS[seen.window]
        self._seen[line] = self._seen.pop(line)  # as the youngest
        self._write(self._describe(line, times, seconds))

    def _watch_from_now(self) -> None:
        if self._watching:
            self._changed.notify()
            return
        with contextlib.suppress(RuntimeError):  # no thread is left: then the next line tells the count
            threading.Thread(target=self._watch, daemon=True, name="repeated-lines").start()
            self._watching = True

    def _watch(self) -> None:
        with self._changed:
            while (wait := self._due - time.monotonic()) < float("inf"):
                if wait > 0:
                    self._changed.wait(wait)
                self._tell_due(time.monotonic())
            self._watching = False


def describe_repeats(times: int, seconds: float) -> str:
    """Return ``came 17 more times in the last 10 s``."""
    often = "once more" if times == 1 else f"{times} more times"
    return f"came {often} in the last {max(1, round(seconds))} s"
