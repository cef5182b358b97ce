"""Log lines for people (text) and for machines (JSON, one object a line)."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from openrtc.errors import one_line

CALL_FIELDS = ("job_id", "room", "agent", "role", "distribution")
"""What every log line of a call carries, where it is known."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRET = re.compile(r"(token|password|secret)$", re.IGNORECASE)
_QUIET = ("asyncio", "aiohttp.access", "httpx", "httpcore", "urllib3", "opentelemetry", "watchfiles", "numba")


def configure_logs(level: str, style: str) -> None:
    """Send the logs of OpenRTC, of livekit-agents and of the agents to standard error.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        style: ``text`` or ``json``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # Native WebRTC messages help nobody who does not debug the library itself.
    logging.getLogger("livekit").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("livekit.agents").setLevel(root.level)
    warnings.formatwarning = _warning_line
    # Everybody who runs livekit-server --dev has its short public secret.
    warnings.filterwarnings("ignore", message="The HMAC key is 6 bytes long")
    logging.captureWarnings(True)


def _warning_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return one_line(f"{category.__name__}: {message} at {filename}:{lineno}")


def number_lines(worker: int) -> None:
    """Let every line from now on say which worker of a supervisor it comes from."""

    def add(record: logging.LogRecord) -> bool:
        record.worker = worker
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(add)


class CallFields(logging.Filter):
    """Completes the fields of a call on each log line that belongs to one.

    Args:
        current_job: Returns the id of the job whose code runs now, or None.
        fields_of: Returns room, agent and distribution of a job, as far as they are known.
        current_role: Returns the role of the member of a cast whose code runs now; empty for none.
    """

    def __init__(
        self,
        current_job: Callable[[], str | None],
        fields_of: Callable[[str], Mapping[str, str]],
        current_role: Callable[[], str] = str,
    ) -> None:
        super().__init__()
        self._current_role = current_role
        self._current_job = current_job
        self._fields_of = fields_of

    def filter(self, record: logging.LogRecord) -> bool:
        job_id = getattr(record, "job_id", None) or self._current_job()
        if job_id:
            known = {"job_id": job_id, "role": self._current_role(), **self._fields_of(job_id)}
            for key, value in known.items():
                if not getattr(record, key, None):
                    setattr(record, key, value)
        return True


@contextlib.contextmanager
def call_fields(completing: CallFields) -> Iterator[None]:
    """Complete the fields of all log lines for the time of the context."""
    handlers = logging.getLogger().handlers[:]
    for handler in handlers:
        handler.addFilter(completing)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(completing)


class TextLines(logging.Formatter):
    """``12:30:01 INFO  openrtc.worker  message  room=… agent=…``."""

    def format(self, record: logging.LogRecord) -> str:
        # A stack that livekit-agents attaches to a line is for machines.
        fields = "".join(f"  {key}={value}" for key, value in extra_fields(record).items() if "\n" not in str(value))
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{clock} {record.levelname:<7} {record.name}: {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, then the fields of the call."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **extra_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record carries beyond the standard fields, the call's own first."""
    kept = {key: value for key, value in vars(record).items() if key not in _STANDARD and value not in ("", None)}
    extra: dict[str, Any] = without_secrets(kept)
    return {key: extra.pop(key) for key in CALL_FIELDS if key in extra} | extra


def without_secrets(value: Any) -> Any:
    """Return fields with the texts hidden whose names say that they are secret: livekit-agents logs whole jobs."""
    if isinstance(value, dict):
        hidden = {key for key, text in value.items() if isinstance(text, str) and _SECRET.search(str(key))}
        return {key: "(hidden)" if key in hidden else without_secrets(one) for key, one in value.items()}
    return [without_secrets(one) for one in value] if isinstance(value, list) else value
