"""Memory of a process: the one place that reads it.

By psutil, which livekit-agents brings along: ``/proc`` is there on Linux only, and ``resource.getrusage`` knows the
peak of this process alone, which never falls.
"""

from __future__ import annotations


def resident_bytes(pid: int | None = None) -> int:
    """Return the resident set size of a process in bytes.

    Args:
        pid: The process; None for this one.

    Raises:
        psutil.NoSuchProcess: The process is gone.
    """
    import psutil  # here, since the events' readers on the command line must start fast and need no memory

    return psutil.Process(pid).memory_info().rss


def own_bytes(pid: int) -> int:
    """Return what would be free without a process: what it shares with others does not count.

    Raises:
        psutil.Error: The process is gone, or may not be looked at.
    """
    import psutil  # as above

    return psutil.Process(pid).memory_full_info().uss
