"""`JsonlFile`: the event stream as a file, one JSON object a line."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from pathlib import Path

from openrtc.errors import OpenRTCError
from openrtc.observe.events import Event
from openrtc.observe.line_relay import Descriptor, LineWriter, describe_drop, describe_reason
from openrtc.observe.words import Words

logger = logging.getLogger("openrtc.observe")

FLAG = "--metrics-jsonl"


class JsonlFile:
    """Appends every event to a file, whole lines at a time, so that several workers may share it.

    In a thread of its own: whoever emits never waits for a slow or full disk, nor for who reads a pipe. What cannot be
    written is tried again; what becomes too much meanwhile is dropped, and that is logged.

    Args:
        path: The file, created when there is none, or a pipe, which somebody may read now or later.
        words: Which words it has.

    Raises:
        OpenRTCError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path, words: Words) -> None:
        self._path = path
        self._words = words
        self._write: Descriptor | None = None
        self._file = -1
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
        text = json.dumps(self._words.describe(event), ensure_ascii=False) + "\n"
        self._lines.put(text.encode("utf-8", "backslashreplace"))

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
        self._write = Descriptor(self._file)

    def _write_lines(self, data: bytes) -> int:
        if self._write is None:
            self._open()
        assert self._write is not None
        return self._write(data)

    def _is_pipe_without_reader(self, error: OSError) -> bool:
        return error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(self._path).st_mode)

    def _warn(self, problem: str) -> None:
        logger.warning("%s cannot be written: %s; events wait until it can", self._path, problem)

    def _tell(self, events: int, problem: str, seconds: float) -> None:
        reason = describe_reason(str(self._path), problem, seconds)
        logger.warning("%s because %s", describe_drop(events, "event"), reason)
