"""Brings the events of job processes into the worker's process, over a datagram socket of the user."""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path

from openrtc.errors import one_line
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import Event
from openrtc.observe.line_relay import LineWriter, describe_drop
from openrtc.observe.sockets import bind_private, remove_socket
from openrtc.posix import open_unix_socket

logger = logging.getLogger("openrtc.observe")

EVENTS_AT_ONCE = 200
"""Events that are emitted before the loop does anything else: a process that sends without end must not hold it."""

LARGEST_BYTES = 200_000
"""Bytes of the largest event: one with a caller's words of many minutes."""


class EventSender:
    """A sink that sends every event to the worker's process; while that takes none, they wait in a thread.

    Args:
        path: Where the worker's `EventReceiver` listens.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = open_unix_socket(socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._waiting: LineWriter | None = None

    def __call__(self, event: Event) -> None:
        """Send an event, now where that is possible; one that cannot be sent is lost, and that is logged."""
        data = json.dumps(event.to_json()).encode()
        if self._waiting is None or self._waiting.idle:
            try:
                self._send(data)
            except BlockingIOError:
                self._waiting = self._waiting or LineWriter(self._send, self._tell, batch=0, name="events")
            else:
                return
        self._waiting.put(data)

    def close(self) -> None:
        """Send what waits, for a second at most."""
        if self._waiting:
            self._waiting.close()

    def _send(self, data: bytes) -> int:
        try:
            self._socket.sendto(data, str(self._path))
        except BlockingIOError:
            raise
        except OSError as error:
            reason = one_line(f"{type(error).__name__}: {error}")
            logger.warning("the event %s did not reach the worker: %s", json.loads(data)["event"], reason)
        return len(data)

    def _tell(self, events: int, problem: str, seconds: float) -> None:
        logger.warning("%s because the worker took none for %.0f s", describe_drop(events, "event"), seconds)


class EventReceiver:
    """Emits the events that job processes send.

    Args:
        path: The socket, in a folder of the user; it gets mode 0600.
        events: Where they are emitted.

    Raises:
        OSError: The socket cannot be created.
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
        """Emit the events that have arrived; if there are very many, the rest at the next call."""
        for _ in range(EVENTS_AT_ONCE):
            try:
                data = self._socket.recv(LARGEST_BYTES)
            except BlockingIOError:
                return
            try:
                event = Event.from_json(json.loads(data))
            except (ValueError, TypeError, AttributeError) as error:
                logger.warning("a job process sent what is no event: %s", one_line(str(error)))
                continue
            self._events.emit(event)

    def close(self) -> None:
        """Receive no more events, and remove the socket."""
        self._socket.close()
        remove_socket(self._path)
