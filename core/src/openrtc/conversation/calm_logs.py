"""Logs that leave a conversation readable: one line each, and nothing that the conversation shows already."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from openrtc.errors import one_line
from openrtc.observe.logs import configure_logs, extra_fields
from openrtc.worker.failure import place_of

_REMEMBERED = 200
_MEASUREMENTS = ("event loop blocked", "VAD inference is slower")
"""How livekit-agents' measurements begin: they are about a worker that is too busy, and come by the dozen."""


class ToldFailures(logging.Filter):
    """Keeps livekit-agents from logging what the conversation tells, and remembers why tools failed.

    livekit-agents tells the model only that "an internal error occurred"; what the tool raised is in its log.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tools: list[tuple[str, BaseException]] = []
        self._told: list[BaseException] = []

    def add(self, error: BaseException) -> None:
        """Remember that an error was told."""
        self._told = [*self._told[-_REMEMBERED:], error]

    def of_tool(self, name: str, said: str) -> str:
        """Return what a tool raised, and where, if it was logged, else ``said``.

        Args:
            name: The tool's name.
            said: The words of the error that it raised.
        """
        for failure in self._tools:
            if failure[0] == name and str(failure[1]) == said:
                self._tools.remove(failure)
                return one_line(f"{type(failure[1]).__name__}: {said} at {place_of(failure[1])}")
        return said

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is worth a line."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return True
        if tool := getattr(record, "function", None):
            self._tools = [*self._tools[-_REMEMBERED:], (tool, error)]
            self.add(error)
        return not any(error is told for told in self._told)


def configure_calm_logs(level: str, style: str, show: Callable[[str], None] | None = None) -> ToldFailures:
    """Send logs to ``show``, a line each; at debug level and as JSON they stay complete and go to standard error.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        style: ``text`` or ``json``.
        show: Prints one line; standard error by default.

    Returns:
        What is told in the conversation and so is not logged.
    """
    configure_logs(level, style)
    failures = ToldFailures()
    if level == "debug" or style == "json":
        # The filter must see the records, and let all of them pass.
        logging.getLogger("livekit.agents").addFilter(_Listening(failures))
        return failures
    # The native library's own messages; agents' failures come from livekit.agents.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    root = logging.getLogger()
    root.handlers[:] = [CalmHandler(show or _to_stderr)]
    logging.getLogger("livekit.agents").addFilter(failures)
    return failures


class _Listening(logging.Filter):
    def __init__(self, failures: ToldFailures) -> None:
        super().__init__()
        self._failures = failures

    def filter(self, record: logging.LogRecord) -> bool:
        self._failures.filter(record)
        return True


class CalmHandler(logging.Handler):
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
            self._show(calm_line(record))
        except Exception:
            self.handleError(record)


def calm_line(record: logging.LogRecord) -> str:
    """Return a log record as one line."""
    text = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        text = f"{text}: {type(error).__name__}: {error} at {place_of(error)}"
    agent = extra_fields(record).get("agent", "")
    return one_line(f"{record.levelname.lower()}: {text}{f'  agent={agent}' if agent else ''}", 1000)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
