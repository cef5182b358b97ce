"""What a process holds: threads, file descriptors, children."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil

SLACK = 8
"""By how many threads and descriptors a process may differ from before: pools and sockets come and go."""
NATIVE_SOURCE = "AudioSourceCapt"


@dataclass(frozen=True, slots=True)
class ProcessResources:
    """What a process holds at one moment.

    Args:
        threads: How many threads.
        descriptors: How many open file descriptors.
        children: Its children, dead ones that nobody waited for included.
    """

    threads: int
    descriptors: int
    children: frozenset[int]

    @classmethod
    def of(cls, pid: int) -> ProcessResources:
        """Look at a process."""
        process = psutil.Process(pid)
        with process.oneshot():
            children = frozenset(child.pid for child in process.children(recursive=True))
            return cls(len(threads_of(pid)), process.num_fds(), children)

    def describe_excess_over(self, before: ProcessResources, slack: int = SLACK) -> str:
        """Return what was left behind since ``before``; empty when nothing was."""
        if self.children - before.children:
            return f"children were left behind: {sorted(self.children - before.children)}"
        if self.threads > before.threads + slack:
            return f"{self.threads} threads, {before.threads} before"
        if self.descriptors > before.descriptors + slack:
            return f"{self.descriptors} file descriptors, {before.descriptors} before"
        return ""


def processor_seconds(pid: int) -> float:
    """Return how long a process has worked so far, without its children."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def threads_of(pid: int) -> list[str]:
    """Return the names of a process's threads, except those that livekit's native library never ends.

    livekit 1.1.21 leaves one thread behind for each audio source in a room that the server deletes.
    """
    names = [path.read_text().strip() for path in Path(f"/proc/{pid}/task").glob("*/comm")]
    return [name for name in names if name != NATIVE_SOURCE]


def describe_leak(pid: int, before: ProcessResources, *, slack: int = SLACK, within: float = 8.0) -> str:
    """Return what a process still holds beyond ``before`` after some seconds; empty when that is nothing."""
    until = time.monotonic() + within
    while (why := ProcessResources.of(pid).describe_excess_over(before, slack)) and time.monotonic() < until:
        time.sleep(0.1)
    return why
