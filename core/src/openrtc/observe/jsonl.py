"""`JsonlFile`: the event stream as a file, one JSON object a line."""

from __future__ import annotations

import json
import os
from pathlib import Path

from openrtc.errors import OpenRTCError
from openrtc.observe.events import Event

FLAG = "--metrics-jsonl"


class JsonlFile:
    """Appends every event to a file, each in one write, so that several workers may share it.

    Args:
        path: The file; it is made when there is none.

    Raises:
        OpenRTCError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # Not blocking, so that a pipe that nobody reads fails here and holds nobody up later.
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
        except OSError as error:
            raise OpenRTCError(
                f"{path} cannot be written: {error.strerror}", origin=FLAG, fix="name a file that can be"
            ) from error

    def __call__(self, event: Event) -> None:
        """Write an event.

        Raises:
            OSError: It could not be written, or not to its end; the disk may be full.
        """
        line = (json.dumps(event.to_json(), ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise OSError(f"{self._path} cannot be written: {error.strerror}") from error
        if written < len(line):
            raise OSError(f"{self._path} cannot be written to the end of a line: is the disk full?")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
