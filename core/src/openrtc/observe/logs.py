"""Log lines for people (text) and for machines (JSON, one object a line)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from openrtc.errors import LONGEST_SHOWN, escape, one_line, shorten, thin_marks
from openrtc.observe.log_guard import WRITTEN, WorkerLog, current_log, install, keep_open
from openrtc.observe.package_code import match_package
from openrtc.observe.repeated_lines import RepeatedLines, describe_repeats
from openrtc.observe.words import clean_log_fields

CALL_FIELDS = ("job_id", "room", "agent", "role", "distribution")
"""What every log line of a call carries, as far as it is known."""

_NATIVE_NOISE = "Attempted to drop unknown FFI handle"
"""What the native library says at the end of healthy calls: it has dropped what Python lets go of later."""

OF_PACKAGE = 10
"""How often a package's own line is written before it is counted: who looks for a fault wants to see each as it comes.
"""

LONGEST_VALUE = 300
"""Characters of a field in a text: livekit-agents attaches whole stacks to some lines, which would hide the message."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", WRITTEN}
_SECRET = re.compile(r"(token|password|secrets?|openrtc\.mark)$", re.IGNORECASE)
_LEVELS = {number: logging.getLevelName(number) for number in (10, 20, 30, 40, 50)}
_QUIET_LOGGERS = ("asyncio", "aiohttp.access", "httpx", "httpcore", "urllib3", "opentelemetry", "watchfiles", "numba")


def configure_logs(
    level: str,
    style: str,
    write: Callable[[logging.LogRecord], None] | None = None,
    *,
    without_calls: bool = False,
) -> None:
    """Send the logs of OpenRTC, of livekit-agents and of the agents to standard error.

    No package changes that afterwards: see `log_guard`.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        style: ``text`` or ``json``.
        write: Writes one record, instead of standard error.
        without_calls: Whether lines of calls that are no warnings are left out.
    """
    if write:
        install(WorkerLog(write))
    else:
        lines = LogLines(JsonLines() if style == "json" else TextLines())

        def write_but_calls(record: logging.LogRecord) -> None:
            ours = record.name.startswith(("openrtc", "livekit"))  # an agent's author wants the agent's own
            if record.levelno >= logging.WARNING or not (ours and getattr(record, "job_id", None)):
                lines.write(record)

        install(WorkerLog(write_but_calls if without_calls else lines.write, lines.flush))
    set_levels(level)
    warnings.formatwarning = _format_warning
    # The public secret of `livekit-server --dev` is short; PyJWT would warn of it for each token.
    warnings.filterwarnings("ignore", message="The HMAC key is")
    logging.captureWarnings(True)


def configure_logs_of_job(level: str) -> None:
    """Keep the log of a job's process, which livekit-agents hands on to the worker, from what its package does.

    Args:
        level: As for `configure_logs`.
    """
    root = logging.getLogger()
    forwarders = root.handlers[:]
    for handler in forwarders:
        keep_open(handler)

    def forward(record: logging.LogRecord) -> None:
        for forwarder in forwarders:
            forwarder.handle(record)

    install(WorkerLog(forward))
    set_levels(level)


def set_levels(level: str) -> None:
    """Set from which level on the loggers' lines are written."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # What the native WebRTC library logs helps only those who debug that library.
    logging.getLogger("livekit").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("livekit").addFilter(_is_no_noise)  # logging adds the same one once
    logging.getLogger("livekit.agents").setLevel(root.level)


def _is_no_noise(record: logging.LogRecord) -> bool:
    return _NATIVE_NOISE not in record.getMessage()


class LogLines:
    """Writes records to what is standard error now, whatever becomes of that later; repeated ones are counted.

    Args:
        formatter: Makes a line of a record.
    """

    def __init__(self, formatter: TextLines | JsonLines) -> None:
        self._formatter = formatter
        self._repeated = RepeatedLines(self._write_line, formatter.describe_repeats)
        try:
            self._number = os.dup(2)
        except OSError:
            self._number = -1  # it is closed: nobody reads the log

    def write(self, record: logging.LogRecord) -> None:
        """Write one record; what cannot be written is lost."""
        line, clock = self._format(record), self._formatter.clock_length
        self._repeated.put(line[:clock], line[clock:], OF_PACKAGE if match_package(record.name) else 1)

    def flush(self) -> None:
        """Tell the counts of repeated records now."""
        self._repeated.flush()

    def _write_line(self, line: str) -> None:
        data = (line + "\n").encode("utf-8", "backslashreplace")
        while data and self._number >= 0:
            try:
                data = data[os.write(self._number, data) :]
            except OSError:
                return

    def _format(self, record: logging.LogRecord) -> str:
        try:
            return self._formatter.format(record)
        except Exception as error:  # arguments that do not fit, or an object that cannot be printed: who logs goes on
            record.msg, record.args = f"{record.msg!r:.200} cannot be formatted: {error!r:.200}", ()
            record.exc_info = None
            for key in read_extra_fields(record).keys() - CALL_FIELDS:
                delattr(record, key)
            return self._formatter.format(record)


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return one_line(f"{category.__name__}: {message} at {filename}:{lineno}")


def add_worker_number(worker: int) -> None:
    """Let every log line from now on say which of a supervisor's workers it comes from."""

    def add(record: logging.LogRecord) -> bool:
        record.worker = worker
        return True

    for handler in _list_handlers():
        handler.addFilter(add)


class CallFields(logging.Filter):
    """Adds what is missing of a call's fields to each log line that belongs to a call.

    Args:
        current_job: Returns the id of the job whose code runs now, or None.
        find_fields: Returns room, agent and distribution of a job, as far as they are known.
        current_role: Returns the role of the member of a cast whose code runs now; empty for none.
    """

    def __init__(
        self,
        current_job: Callable[[], str | None],
        find_fields: Callable[[str], Mapping[str, str]],
        current_role: Callable[[], str] = str,
    ) -> None:
        super().__init__()
        self._current_role = current_role
        self._current_job = current_job
        self._find_fields = find_fields

    def filter(self, record: logging.LogRecord) -> bool:
        job_id = getattr(record, "job_id", None) or self._current_job()
        if job_id:
            known = {"job_id": job_id, "role": self._current_role(), **self._find_fields(job_id)}
            for key, value in known.items():
                if not getattr(record, key, None):
                    setattr(record, key, value)
        return True


@contextlib.contextmanager
def complete_call_fields(fields: CallFields) -> Iterator[None]:
    """Complete the fields of all log lines for the time of the context."""
    handlers = _list_handlers()
    for handler in handlers:
        handler.addFilter(fields)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(fields)


def _list_handlers() -> list[logging.Handler]:
    """Return the root logger's handlers, and the worker's log, which a package may have taken out of them."""
    handlers, log = logging.getLogger().handlers[:], current_log()
    return [*handlers, log] if log and log not in handlers else handlers


def _name_level(record: logging.LogRecord) -> str:
    """Return the level's name: the standard ones are what they are, whatever `logging.addLevelName` was told."""
    return _LEVELS.get(record.levelno, record.levelname)


class TextLines(logging.Formatter):
    """``12:30:01 INFO  openrtc.worker  message  room=… agent=…``.

    Callers choose names of rooms and what they say: neither makes a field or a line, or commands a terminal.
    """

    clock_length = len("12:30:01")

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f"  {key}={_show_value(value)}" for key, value in read_extra_fields(record).items())
        message = _show_text(record.getMessage())
        line = f"{_format_clock(record.created)} {_name_level(record):<7} {escape(record.name, 200)}: {message}{fields}"
        return f"{line}\n    {_show_text(self.formatException(record.exc_info))}" if record.exc_info else line

    def describe_repeats(self, line: str, times: int, seconds: float) -> str:
        """Return a line that says how often one, given without its time, came again."""
        first = line.partition("\n")[0]
        return f"{_format_clock(time.time())}{first}  ({describe_repeats(times, seconds)})"


class JsonLines(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, then the fields of the call."""

    clock_length = len('{"time": "2026-01-31T12:30:01.000Z"')

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _format_time(record.created),
            "level": _name_level(record).lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **read_extra_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        line = {key: shorten(one, LONGEST_SHOWN) if isinstance(one, str) else one for key, one in line.items()}
        return json.dumps(line, default=str)

    def describe_repeats(self, line: str, times: int, seconds: float) -> str:
        """Return a line that says how often one, given without its time, came again."""
        again: dict[str, Any] = json.loads('{"time": ""' + line)
        again |= {"time": _format_time(time.time()), "repeated": times}
        again["message"] = f"{again['message']} ({describe_repeats(times, seconds)})"
        again.pop("exception", None)
        return json.dumps(again)


def _show_value(value: object) -> str:
    """Return a field's value as one word; in quotes where it could be taken for anything else."""
    text = str(value)
    cut = text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
    plain = cut.isprintable() and cut and not any(c in ' "=' for c in cut)
    return thin_marks(cut) if plain else escape(json.dumps(cut, ensure_ascii=False))


def _show_text(text: str) -> str:
    """Return a text of several lines, in which nothing looks like a line of the log or does anything to a terminal."""
    return escape(text, keep="\n\t").replace("\n", "\n    ")


def _format_clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _format_time(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03}Z"


def read_extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record carries beyond the standard fields, the call's own first."""
    kept = {key: value for key, value in vars(record).items() if key not in _STANDARD and value not in ("", None)}
    extra: dict[str, Any] = clean_log_fields(hide_secrets(kept))
    return {key: extra.pop(key) for key in CALL_FIELDS if key in extra} | extra


def hide_secrets(value: Any) -> Any:
    """Return fields with strings hidden whose names say that they are secret: livekit-agents logs whole jobs."""
    if isinstance(value, dict):
        hidden = {key for key, one in value.items() if isinstance(one, str) and _SECRET.search(str(key))}
        return {key: "(hidden)" if key in hidden else hide_secrets(one) for key, one in value.items()}
    return [hide_secrets(one) for one in value] if isinstance(value, list) else value
