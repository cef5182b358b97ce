"""`JsonlFile`: the event stream as a file, one JSON object a line."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from pathlib import Path

from openrtc.errors import OpenRTCError
from openrtc.observe.events import CallEnded, CallEvent, CallStarted, Event
from openrtc.observe.line_relay import Descriptor, LineWriter, StartAgain, describe_drop, describe_reason
from openrtc.observe.words import Words
from openrtc.posix import lock_file, unlock_file

logger = logging.getLogger("openrtc.observe")

FLAG = "--metrics-jsonl"


class JsonlFile:
    """Appends every event to a file, whole lines at a time, so that several workers may share it.

    In a thread of its own: whoever emits never waits for a slow or full disk, nor for who reads a pipe. What cannot be
    written is tried again; what becomes too much meanwhile is dropped, and that is logged. Where another file stands at
    the path, since somebody has rotated it or made it forget a call, that one is written from then on.

    Args:
        path: The file, created when there is none, or a pipe, which somebody may read now or later.
        words: Which words it has.

    Raises:
        OpenRTCError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path, words: Words) -> None:
        self._path = path = path.absolute()  # an agent may change the working folder
        self._words = words
        self._live: dict[str, set[str]] = {}
        self._forgotten: set[str] = set()
        self._write: Descriptor | None = None
        self._file = -1
        self._is_file = False
        try:
            self._open()
        except OSError as error:
            if not self._is_pipe_without_reader(error):
                raise OpenRTCError(
                    f"{path} cannot be written: {error.strerror}", origin=FLAG, fix="name a file that can be"
                ) from error
            logger.warning("nobody reads the pipe %s: events wait for a reader", path)
        self._lines = LineWriter(self._write_lines, self._tell, warn=self._warn, name="metrics-jsonl")

    def __call__(self, event: Event) -> None:
        """Let an event be written."""
        if isinstance(event, CallEvent) and self._is_forgotten(event):
            return
        text = json.dumps(self._words.describe(event), ensure_ascii=False)
        if not text.isprintable():  # the file may be read in a terminal
            text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
        self._lines.put(text.encode() + b"\n")

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def forget(self, identity: str) -> list[str]:
        """Write no more of the live calls in which a person is; return their ids, once what waited is written.

        What stands in the file already is left to `openrtc.observe.event_files.forget_calls`.

        Args:
            identity: The person's.
        """
        calls = [job_id for job_id, people in list(self._live.items()) if identity in people]
        self._forgotten |= set(calls)
        self._lines.flush()
        return calls

    def _is_forgotten(self, event: CallEvent) -> bool:
        if isinstance(event, CallStarted):
            self._live.setdefault(event.job_id, set()).add(event.identity)
        elif isinstance(event, CallEnded):
            self._live.pop(event.job_id, None)
        return event.job_id in self._forgotten

    def flush(self) -> None:
        """Wait until all events are written, for a second at most."""
        self._lines.flush()

    def close(self) -> None:
        """Write what waits, for a second at most, and close the file."""
        left = not self._lines.flush()
        self._lines.close(0)
        if left:
            logger.warning("the last events are lost: %s cannot be written", self._path)
        elif self._file >= 0:
            os.close(self._file)

    def _open(self) -> None:
        # Not blocking: to open a pipe would wait until somebody reads it.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        self._file = os.open(self._path, flags, 0o640)
        self._is_file = stat.S_ISREG(os.fstat(self._file).st_mode)
        self._write = Descriptor(self._file)

    def _is_replaced(self) -> bool:
        """Whether another file stands at the path, or none: somebody has rotated it, or made it forget a call."""
        try:
            return not os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return True

    def _write_lines(self, data: bytes) -> int:
        if self._write is None:
            self._open()
        assert self._write is not None
        if not self._is_file:
            return self._write(data)
        locked = self._file
        lock_file(locked, alone=False)
        try:
            if self._is_replaced():
                self._open()
                raise StartAgain
            return self._write(data)
        finally:
            unlock_file(locked)
            if locked != self._file:
                os.close(locked)

    def _is_pipe_without_reader(self, error: OSError) -> bool:
        return error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(self._path).st_mode)

    def _warn(self, problem: str) -> None:
        logger.warning("%s cannot be written: %s; events wait until it can", self._path, problem)

    def _tell(self, events: int, problem: str, seconds: float) -> None:
        reason = describe_reason(str(self._path), problem, seconds)
        logger.warning("%s because %s", describe_drop(events, "event"), reason)
