"""Tells in one line that a call failed, and where."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from openrtc.call import Call
from openrtc.errors import OpenRTCError, one_line

logger = logging.getLogger("openrtc.worker")

_OWN_FOLDER = Path(__file__).resolve().parents[1]


class CallFailed(Exception):
    """A call ended because its agent failed; what happened has been told already."""


class _AlreadyTold(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], CallFailed))


def tell_failures_once() -> None:
    """Keep livekit-agents from logging a `CallFailed` again, with its traceback."""
    upstream = logging.getLogger("livekit.agents")
    if not any(isinstance(present, _AlreadyTold) for present in upstream.filters):
        upstream.addFilter(_AlreadyTold())


def report_failure(call: Call, error: BaseException, what: str = "failed") -> None:
    """Log one line about a failed call; the traceback follows at debug level."""
    where = "" if isinstance(error, OpenRTCError) else f" at {place_of(error)}"
    said = str(error) if isinstance(error, OpenRTCError) else one_line(f"{type(error).__name__}: {error}")
    logger.error("agent %r %s: %s%s; this call is ended, the others go on", call.agent_name, what, said, where)
    logger.debug("agent %r %s", call.agent_name, what, exc_info=error)


def place_of(error: BaseException) -> str:
    """Return ``file:line`` of the deepest frame of ``error`` that is not OpenRTC's or livekit's."""
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
    outside = [frame for frame in frames if not _is_ours(frame.filename)]
    deepest = (outside or frames)[-1:]
    return f"{deepest[0].filename}:{deepest[0].lineno}" if deepest else "an unknown place"


def _is_ours(filename: str) -> bool:
    path = Path(filename)
    return _OWN_FOLDER in path.parents or ("livekit" in path.parts and "site-packages" in path.parts)
