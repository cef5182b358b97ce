"""Logs that leave a conversation readable: one line each, and nothing that the conversation shows already."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
from collections import deque
from collections.abc import Callable

from openrtc.errors import one_line
from openrtc.observe.logs import configure_logs, read_extra_fields
from openrtc.session.failure import find_failing_line

_REMEMBERED = 200
"""Errors that are kept at most: they hold the frames of their tracebacks, and a chat may last for hours."""

_LINE_LIMIT = 1000
"""Characters of a line of the log; `one_line` ends a longer one with an ellipsis."""

_MEASUREMENTS = ("event loop blocked", "VAD inference is slower")
"""How livekit-agents' measurements begin: they are about a worker that is too busy, and come by the dozen."""


class ReportedErrors(logging.Filter):
    """Keeps what the conversation shows out of livekit-agents' log, and remembers why tools failed.

    livekit-agents gives the model only "an internal error occurred"; what the tool raised is in its log alone.

    Args:
        hide: Whether records of errors that were shown are dropped; otherwise they are only looked at.
    """

    def __init__(self, *, hide: bool = True) -> None:
        super().__init__()
        self._hide = hide
        self._of_tools: deque[tuple[str, BaseException]] = deque(maxlen=_REMEMBERED)
        self._shown: deque[BaseException] = deque(maxlen=_REMEMBERED)

    def add(self, error: BaseException) -> None:
        """Remember that an error was shown."""
        self._shown.append(error)

    def describe_tool_error(self, tool: str, message: str) -> str:
        """Return what a tool raised, and where, if it was logged, else ``message``.

        Args:
            tool: The tool's name.
            message: The message of what it raised.
        """
        for name, error in self._of_tools:
            if name == tool and str(error) == message:
                self._of_tools.remove((name, error))
                return one_line(f"{type(error).__name__}: {message} at {find_failing_line(error)}")
        return message

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is worth a line."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return True
        if tool := getattr(record, "function", None):
            self._of_tools.append((tool, error))
            self.add(error)
        return not (self._hide and any(error is shown for shown in self._shown))


def configure_console_logs(level: str, style: str, show: Callable[[str], None] | None = None) -> ReportedErrors:
    """Send logs to ``show``, a line each; at debug level and as JSON they stay complete and go to standard error.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        style: ``text`` or ``json``.
        show: Prints one line; standard error by default.

    Returns:
        What the conversation is to report its errors to, so that they are not logged as well.
    """
    complete = level == "debug" or style == "json"
    configure_logs(level, style, None if complete else OneLineHandler(show or print_to_stderr).emit)
    errors = ReportedErrors(hide=not complete)
    logging.getLogger("livekit.agents").addFilter(errors)
    if not complete:
        # The native library's own messages; agents' failures come from livekit.agents.
        logging.getLogger("livekit").setLevel(logging.CRITICAL)
    return errors


class OneLineHandler(logging.Handler):
    """Shows each record in one line; a traceback becomes its last line and its place.

    Args:
        show: Prints one line.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record, unless it is a measurement or was shown already."""
        try:
            message = record.getMessage()
            if message in self._shown or (record.levelno <= logging.WARNING and message.startswith(_MEASUREMENTS)):
                return
            self._shown.add(message)
            self._show(format_record(record))
        except Exception:  # as in every handler of `logging`: a record that cannot be shown must not end who logs it
            self.handleError(record)


def format_record(record: logging.LogRecord) -> str:
    """Return a log record as one line."""
    text = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        text = f"{text}: {type(error).__name__}: {error} at {find_failing_line(error)}"
    agent = read_extra_fields(record).get("agent", "")
    return one_line(f"{record.levelname.lower()}: {text}{f'  agent={agent}' if agent else ''}", _LINE_LIMIT)


def print_to_stderr(line: str) -> None:
    """Print a line on standard error; on a terminal, break it between words."""
    if sys.stderr.isatty():
        columns = shutil.get_terminal_size().columns
        line = textwrap.fill(line, columns, subsequent_indent="  ", break_on_hyphens=False)
    print(line, file=sys.stderr, flush=True)
