"""Ends a process in which LiveKit's native library runs."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End the process with ``code``: run what was registered with `atexit`, flush, and do not tear Python down.

    The native library's threads may call into Python until the very end; during Python's own teardown such a call
    aborts the process, which would turn an orderly stop into a crash.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
