"""Reports in one line that something failed in a call, and where."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from openrtc.errors import OpenRTCError, summarize_error
from openrtc.observe.package_code import match_package
from openrtc.observe.words import words_of_log
from openrtc.runtime.live_call import LiveCall

logger = logging.getLogger("openrtc.worker")

_OWN_FOLDER = Path(__file__).resolve().parents[1]
_INSTALLED = {"site-packages", "dist-packages"}
_PYTHON_FOLDER = Path(logging.__file__).parents[1]


class CallFailed(Exception):
    """A call ended because its agent failed; what happened has been reported already."""


class LoopBroken(BaseException):
    """Raised in an agent's code that has kept the loop of all calls from running for too long.

    No `Exception`, so that the agent's own ``except Exception`` does not swallow it. Whoever raises it reports it.
    """


class UpstreamErrorFilter(logging.Filter):
    """Turns each error that livekit-agents only logs into one line, and into an event of the call.

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
        # CallFailed is raised only for livekit-agents to end the job, which logs it once more.
        if isinstance(error, CallFailed) or not mark_reported(error):
            return False
        place = find_failing_line(error)
        if call := self._current_call():
            call.emit_error("session", error, place)
        said = summarize_error(error)
        if "executing tool" in record.getMessage():  # its text may tell what the caller has said
            said = words_of_log().clean_error(said)
        # A traceback ends with the error's text.
        logger.debug("%s", record.getMessage(), exc_info=error if said == summarize_error(error) else None)
        # Changed in place: the record goes on to whatever handlers the operator has. `exc_text` is the traceback that
        # a handler before this one may have formatted.
        record.msg, record.args = "%s: %s at %s", (record.getMessage(), said, place)
        record.exc_info, record.exc_text = None, None
        return True


def report_upstream_errors(current_call: Callable[[], LiveCall | None]) -> None:
    """Let livekit-agents' log report each error once, in one line; see `UpstreamErrorFilter`."""
    upstream = logging.getLogger("livekit.agents")
    # Every call of a thread or process asks for it anew.
    if not any(isinstance(present, UpstreamErrorFilter) for present in upstream.filters):
        upstream.addFilter(UpstreamErrorFilter(current_call))


def report_failure(call: LiveCall, error: BaseException, what: str = "failed") -> None:
    """Log one line about a failed call, and emit it as an event; the traceback follows at debug level.

    A `LoopBroken` has been reported where it was raised.
    """
    if isinstance(error, LoopBroken):
        return
    # An OpenRTCError says itself where it comes from.
    place = "" if isinstance(error, OpenRTCError) else find_failing_line(error)
    where = f" at {place}" if place else ""
    call.emit_error("agent", error, place, fatal=True)
    text = "agent %r %s: %s%s; this call is ended, the others go on"
    logger.error(text, call.agent, what, summarize_error(error), where)
    logger.debug("agent %r %s", call.agent, what, exc_info=error)


def report_callback_failure(call: LiveCall, error: BaseException, what: str) -> None:
    """Log one line about a callback of an agent that has failed, and emit it as an event of the call.

    Args:
        call: The call.
        error: What the callback raised.
        what: The callback.
    """
    if isinstance(error, LoopBroken) or not mark_reported(error):
        return
    place = find_failing_line(error)
    call.emit_error("agent", error, place)
    logger.error("agent %r: its %s failed: %s at %s", call.agent, what, summarize_error(error), place)
    logger.debug("agent %r: its %s failed", call.agent, what, exc_info=error)


def report_unraisable_errors() -> None:
    """Let an error that Python cannot raise, such as one in ``__del__``, be one line in the log."""
    if sys.unraisablehook is sys.__unraisablehook__:  # else somebody wants them
        sys.unraisablehook = _report_unraisable


def _report_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    error = unraisable.exc_value
    if error is None or isinstance(error, LoopBroken):  # which has been reported where it was raised
        return
    said, place = summarize_error(error), find_failing_line(error)
    logger.error("an error that nobody can handle: %s at %s; the worker goes on", said, place)
    # Without the object: it may be on its way to be deleted.
    logger.debug("%s", unraisable.err_msg or "ignored", exc_info=error)


def mark_reported(error: BaseException) -> bool:
    """Note on an error that it is reported; return whether it was not before.

    The mark is on the error itself, since the same one arrives by several ways: the session's ``error`` event and the
    log lines of each function that it passes through.
    """
    if getattr(error, "_openrtc_reported", False):
        return False
    error._openrtc_reported = True  # type: ignore[attr-defined]  # no error declares it
    return True


def find_failing_line(error: BaseException) -> str:
    """Return ``file:line`` of the deepest frame of ``error`` that is an agent's own; see `find_own_frame`."""
    # The cause first: of an AgentExit it is the sys.exit in the agent's code. What a library has raised from an error
    # deeper in itself has the agent's frames on the outer one.
    chain = [one for one in (error.__cause__, error) if one is not None]
    if found := find_own_frame(*(list(traceback.walk_tb(one.__traceback__)) for one in chain)):
        frame, line = found
        return f"{frame.f_code.co_filename}:{line}"
    return "an unknown place"


def find_own_frame(*stacks: Sequence[tuple[FrameType, int]]) -> tuple[FrameType, int] | None:
    """Return the deepest frame that is an agent's own, with its line.

    Where there is none, the deepest one that is neither OpenRTC's, livekit's nor Python's own; then any.

    Args:
        stacks: Frames and their lines, the outermost first; what an earlier one has comes before the same of a later.
    """
    for counts in (_is_package, _is_outside, _is_no_framework, lambda _: True):
        for stack in stacks:
            found = [(frame, line) for frame, line in stack if counts(frame)]
            if found:
                return found[-1]
    return None


def _is_package(frame: FrameType) -> bool:
    """Whether a frame is code of an installed agent's or plugin's package."""
    return match_package(str(frame.f_globals.get("__name__", ""))) is not None


def _is_outside(frame: FrameType) -> bool:
    return _is_no_framework(frame) and not _is_library(frame.f_code.co_filename)


def _is_no_framework(frame: FrameType) -> bool:
    return not is_framework(frame.f_code.co_filename)


def is_framework(filename: str) -> bool:
    """Whether a source file is OpenRTC's or livekit's."""
    path = Path(filename)
    return _OWN_FOLDER in path.parents or ("livekit" in path.parts and _INSTALLED & set(path.parts) != set())


def _is_library(filename: str) -> bool:
    """Whether a source file is of Python's library, or of OpenTelemetry, in whose spans livekit runs agents' code."""
    path = Path(filename)
    return "opentelemetry" in path.parts or (_PYTHON_FOLDER in path.parents and not _INSTALLED & set(path.parts))
