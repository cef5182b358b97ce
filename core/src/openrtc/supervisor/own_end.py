"""How a process that starts workers ends when it must: with its supervisor, or before all others if memory is short."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""Of prctl(2): which signal this process gets when its parent ends."""
FIRST_VICTIM = "1000"
"""The highest score: the system ends such a process first, and any process may give itself more."""

_OOM_SCORE = Path("/proc/self/oom_score_adj")


def end_with_parent(connection: socket.socket) -> bool:
    """Let this process be killed when its parent ends, also while it runs code that does not come back.

    That is on Linux; elsewhere it ends when it reads the connection. The system takes the end of the thread that has
    started this process for the parent's: a supervisor starts it in its main thread.

    Args:
        connection: To the parent.

    Returns:
        False where the parent has ended already.
    """
    with contextlib.suppress(ImportError, OSError, AttributeError):  # no Linux, or a Python without it
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@contextlib.contextmanager
def offer_to_memory_killer(*, when: bool) -> Iterator[None]:
    """Let the system end this process before all others of this user if memory runs out, where it can be told so.

    Args:
        when: Whether to do so at all.
    """
    before = _write_score(FIRST_VICTIM) if when else None
    try:
        yield
    finally:
        if before is not None:
            _write_score(before)


def _write_score(text: str) -> str | None:
    """Return what was there before; None where it cannot be changed."""
    try:
        before = _OOM_SCORE.read_text()
        _OOM_SCORE.write_text(text)
    except OSError:
        return None
    return before
