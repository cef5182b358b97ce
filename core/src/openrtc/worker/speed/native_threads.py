"""Lets the threads of a native library keep what Python needs to know of them.

When a thread that Python has not started calls into Python, ctypes makes a thread state for it, and deletes it when the
call returns: a page of memory mapped and unmapped, and every core told, for each of hundreds of events a second.
https://docs.python.org/3/c-api/init.html#non-python-created-threads
"""

from __future__ import annotations

import ctypes
import threading

MOST_THREADS = 256
"""A thread that ends leaves its state behind: 16 KB. Those of the native library live as long as the process."""

_known = threading.local()  # belongs to the thread state, and is empty in a new one
_kept = 0


def keep_thread_state() -> None:
    """Keep the calling thread's state for as long as the process lives.

    It counts one call into Python that never returns, so that the end of the real one is not the last. A thread that
    Python has started is not changed by that.
    """
    global _kept
    if hasattr(_known, "kept") or _kept >= MOST_THREADS:
        return
    _known.kept = True
    _kept += 1
    ctypes.pythonapi.PyGILState_Ensure()
