"""How a process in which LiveKit's native library runs ends, and with which exit code."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
from typing import NoReturn

from openrtc.observe.stdio import flush_output

CANNOT_RUN = 2
"""The worker cannot run with these settings or packages; the command line's own code for an `OpenRTCError`."""
STOPPED_AT_ONCE = 3
"""A second signal: live calls may have been cut off."""
SERVER_LOST = 4
"""The LiveKit server could not be reached any more."""
SUPERVISOR_GONE = 70
"""The process that started the worker has ended; 70 is EX_SOFTWARE of sysexits.h."""
REPLACE_ME = 75
"""The worker has drained by itself and wants a fresh one in its place; 75 is EX_TEMPFAIL of sysexits.h."""


EXIT_SECONDS = 5.0
"""How long what packages have registered with `atexit` may take, as to send what they have collected; ``docker stop``
kills 10 s after it has asked, and Kubernetes after 30 s."""

logger = logging.getLogger("openrtc.worker")


def exit_process(code: int) -> NoReturn:
    """End the process with ``code``: run what was registered with `atexit`, flush, and do not tear Python down.

    The native library's threads may call into Python until the very end; during Python's own teardown such a call
    aborts the process, which would turn an orderly stop into a crash. What hangs is told, and left behind.
    """
    over = threading.Event()
    watching = (code, threading.get_ident(), over)
    threading.Thread(target=_end_what_hangs, args=watching, daemon=True, name="exit").start()
    atexit._run_exitfuncs()
    over.set()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it has gone, or somebody has closed it
            stream.flush()
    os._exit(code)


def _end_what_hangs(code: int, thread: int, over: threading.Event) -> None:
    if over.wait(EXIT_SECONDS):
        return
    place = _find_place(thread)
    logger.error("the process ends without what hangs in a function of atexit after %g s, %s", EXIT_SECONDS, place)
    flush_output()
    os._exit(code)


def _find_place(thread: int) -> str:
    """Return where a thread is within `exit_process`: the innermost line that is not the standard library's."""
    frame = sys._current_frames().get(thread)
    while frame is not None and frame.f_code is not exit_process.__code__:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] not in sys.stdlib_module_names - {"__main__"}:
            return f"at {frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return "in compiled code"
