"""`openrtc start --strict`: a worker that has warned of anything before it is registered does not start.

What OpenRTC warns of is a log line at level warning or above: these are counted, wherever in the process they come
from. A forked worker inherits the count of the process that has loaded everything.
"""

from __future__ import annotations

import logging

from openrtc.errors import OpenRTCError
from openrtc.observe.log_guard import current_log

NO_FAULT = ("openrtc.health", "openrtc.clock", "openrtc.security")
"""Loggers that warn of whoever asks the health server, of code that is slow, which it may be on a busy machine, and of
what callers may choose, which may be wanted."""


class _WarningCount:
    """How many warnings and errors OpenRTC has logged."""

    def __init__(self) -> None:
        self.number = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name in NO_FAULT:
            return True
        self.number += record.name.partition(".")[0] == "openrtc" and record.levelno >= logging.WARNING
        return True


_count: _WarningCount | None = None


def refuse_warnings() -> None:
    """Count what OpenRTC warns of from now on, for `require_no_warnings`."""
    global _count
    _count = _WarningCount()
    log = current_log()
    assert log is not None, "configure_logs comes first"
    log.addFilter(_count)  # not a handler: a package's import may take handlers away
    logger = logging.getLogger("openrtc")
    # With --log-level error, nobody would see what stops the worker.
    logger.setLevel(min(logger.getEffectiveLevel(), logging.WARNING))


def require_no_warnings() -> None:
    """Raise where warnings are refused and there were some; each of them was logged.

    Raises:
        OpenRTCError: Says how many.
    """
    if _count and _count.number:
        lines = "the warning above" if _count.number == 1 else f"the {_count.number} warnings and errors above"
        raise OpenRTCError(f"the worker does not start, for {lines}", origin="--strict")
