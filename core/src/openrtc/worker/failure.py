"""Tells in one line that something failed in a call, and where."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

from openrtc.errors import OpenRTCError, one_line
from openrtc.worker.live_call import LiveCall

logger = logging.getLogger("openrtc.worker")

_OWN_FOLDER = Path(__file__).resolve().parents[1]


class CallFailed(Exception):
    """A call ended because its agent failed; what happened has been told already."""


class UpstreamErrors(logging.Filter):
    """Turns each error that livekit-agents only logs into one line, and tells the call's event stream.

    What a model's ``chat()``, a node or a task of the session raises is no event of the session: it stands in the log
    with its traceback, once for each function that it passes through.

    Args:
        current_call: Returns the call whose code runs now, if any.
    """

    def __init__(self, current_call: Callable[[], LiveCall | None]) -> None:
        super().__init__()
        self._current_call = current_call

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or record.levelno < logging.WARNING:
            return True
        if isinstance(error, CallFailed) or not first_time(error):
            return False
        place, said = place_of(error), one_line(f"{type(error).__name__}: {error}")
        if call := self._current_call():
            call.error("session", error, place)
        logger.debug("%s", record.getMessage(), exc_info=error)
        record.msg, record.args = "%s: %s at %s", (record.getMessage(), said, place)
        record.exc_info, record.exc_text = None, None
        return True


def tell_upstream_errors(current_call: Callable[[], LiveCall | None]) -> None:
    """Let livekit-agents' log tell each error once, in one line; see `UpstreamErrors`."""
    upstream = logging.getLogger("livekit.agents")
    if not any(isinstance(present, UpstreamErrors) for present in upstream.filters):
        upstream.addFilter(UpstreamErrors(current_call))


def report_failure(call: LiveCall, error: BaseException, what: str = "failed") -> None:
    """Log one line about a failed call, and tell it; the traceback follows at debug level."""
    place = "" if isinstance(error, OpenRTCError) else place_of(error)
    said = str(error) if isinstance(error, OpenRTCError) else one_line(f"{type(error).__name__}: {error}")
    where = f" at {place}" if place else ""
    call.error("agent", error, place, fatal=True)
    logger.error("agent %r %s: %s%s; this call is ended, the others go on", call.agent, what, said, where)
    logger.debug("agent %r %s", call.agent, what, exc_info=error)


def first_time(error: BaseException) -> bool:
    """Whether this error was not told before; from now on it counts as told."""
    if getattr(error, "_openrtc_told", False):
        return False
    error._openrtc_told = True  # type: ignore[attr-defined]
    return True


def place_of(error: BaseException) -> str:
    """Return ``file:line`` of the deepest frame of ``error`` that is not OpenRTC's or livekit's."""
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
    outside = [frame for frame in frames if not is_framework(frame.filename)]
    deepest = (outside or frames)[-1:]
    return f"{deepest[0].filename}:{deepest[0].lineno}" if deepest else "an unknown place"


def is_framework(filename: str) -> bool:
    """Whether a source file is OpenRTC's or livekit's."""
    path = Path(filename)
    return _OWN_FOLDER in path.parents or ("livekit" in path.parts and "site-packages" in path.parts)
