"""Brings the events of job processes into the worker's process, over a datagram socket of the user."""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path

from openrtc.errors import one_line
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import Event
from openrtc.observe.snapshot_server import bind_private

logger = logging.getLogger("openrtc.observe")

SEND_SECONDS = 0.5
LARGEST = 200_000
"""Bytes of the largest event: one with a caller's words of many minutes."""


class EventSender:
    """A sink that sends every event to the worker's process.

    Args:
        path: Where the worker's `EventReceiver` listens.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(SEND_SECONDS)

    def __call__(self, event: Event) -> None:
        """Send an event; one that the worker does not take in time is lost, and that is told."""
        try:
            self._socket.sendto(json.dumps(event.to_json()).encode(), str(self._path))
        except OSError as error:
            said = one_line(f"{type(error).__name__}: {error}")
            logger.warning("the event %s did not reach the worker: %s", event.kind(), said)


class EventReceiver:
    """Emits the events that job processes send.

    Args:
        path: The socket, in a folder of the user; it gets mode 0600.
        events: Where they are emitted.

    Raises:
        OSError: The socket cannot be made.
    """

    def __init__(self, path: Path, events: EventStream) -> None:
        self._path = path
        self._events = events
        self._socket = bind_private(path, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor to wait for, as in ``loop.add_reader``."""
        return self._socket.fileno()

    def receive(self) -> None:
        """Emit all events that have come."""
        while True:
            try:
                told = self._socket.recv(LARGEST)
            except BlockingIOError:
                return
            try:
                event = Event.from_json(json.loads(told))
            except (ValueError, TypeError, AttributeError) as error:
                logger.warning("a job process sent what is no event: %s", one_line(str(error)))
                continue
            self._events.emit(event)

    def close(self) -> None:
        """Take no more events."""
        self._socket.close()
        self._path.unlink(missing_ok=True)
