"""Ends a process in which LiveKit's native library runs."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End the process with ``code``: flush, run what was registered with `atexit`, and do not tear Python down.

    The native library's threads may call into Python until the very end; during Python's own teardown such a call
    aborts the process, which would turn an orderly stop into a crash.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 1
    atexit._run_exitfuncs()
    os._exit(code)
