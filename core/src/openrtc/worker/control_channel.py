"""`ControlChannel`: a worker's socket to its supervisor: orders come in, news goes out.

Orders come this way and not as signals: a service manager that signals every process of a group at once would
otherwise be taken for an operator who signals twice. The socket is also how a worker notices that its supervisor has
died: its other end closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from openrtc.worker.offer import Offer
from openrtc.worker.process_exit import SUPERVISOR_GONE, exit_process

logger = logging.getLogger("openrtc.worker")

DRAIN, STOP, LEAVE = b"d", b"s", b"l"
"""Orders to a worker: finish the live calls, end them now, or leave the health port to its successor."""

REGISTERED, REPLACE, DRAIN_ALL = b"r", b"x", b"a"
"""News from a worker: the LiveKit server has registered it, it takes no more calls and another one is needed, or its
operator lets all workers drain."""

OFFER, LOST, ROLL = "offer", "lost", "roll"
"""News that are JSON objects, by their ``event``: what of the worker is ready, that it does not start since something
would be lost, or that all workers are to be replaced since something else is installed."""

MOST_AT_ONCE = 65_536
"""Bytes to read at once: a message is one byte, or a JSON object in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a supervisor gives a worker at its start.

    Args:
        number: The worker's number.
        slot: The number of its health port: 0 for the first one. A successor has the same.
        doors: Descriptors of the sockets that listen on that port; none where it listens itself.
        answers: Whether it answers there from the beginning; else from when it is registered, since another does.
        keep: What must be ready, or the worker does not start.
    """

    number: int = 0
    slot: int = 0
    doors: tuple[int, ...] = ()
    answers: bool = True
    keep: Offer = field(default_factory=Offer)


class Messages:
    """Takes apart what comes through the socket: single bytes, and JSON objects in a line each."""

    def __init__(self) -> None:
        self._unread = b""

    def feed(self, received: bytes) -> Iterator[bytes | dict[str, Any]]:
        """Yield the messages that are whole by now."""
        self._unread += received
        while self._unread:
            if not self._unread.startswith(b"{"):
                message, self._unread = self._unread[:1], self._unread[1:]
                yield message
            elif b"\n" in self._unread:
                line, _, self._unread = self._unread.partition(b"\n")
                yield json.loads(line)
            else:
                return


class ControlChannel:
    """A worker's end of the socket to the process that started it.

    Args:
        connection: The socket.
        place: What the supervisor has given the worker.
    """

    def __init__(self, connection: socket.socket, place: Place | None = None) -> None:
        self._connection = connection
        self.place = place or Place()
        self._messages = Messages()
        self._when_gone: list[Callable[[], object]] = []
        self._end: Callable[[], object] = _end_process
        self._watching: threading.Thread | None = None

    def report(self, news: bytes) -> None:
        """Send news to the supervisor."""
        # One that is gone needs none; the reader notices.
        with contextlib.suppress(OSError):
            self._connection.sendall(news)

    def tell(self, event: str, **values: Any) -> None:
        """Send news that are more than a word to the supervisor."""
        self.report(json.dumps({"event": event, **values}).encode() + b"\n")

    def ask_to_roll(self, installed: str) -> None:
        """Ask the supervisor to replace all its workers, as at SIGHUP, since something else is installed.

        It does nothing while it does so already, and nothing where that has failed with the same installation.

        Args:
            installed: Says what is installed: another text for another installation.
        """
        self.tell(ROLL, installed=installed)

    def call_when_gone(self, call: Callable[[], object]) -> None:
        """Call something when the supervisor is gone, in a thread of its own: the loop may be blocked then."""
        self._when_gone.append(call)

    def watch(self) -> None:
        """Notice from now on when the supervisor is gone; the process ends then, until it follows orders."""
        if self._watching is None:
            self._watching = threading.Thread(target=self._wait_until_gone, daemon=True, name="supervisor-watch")
            self._watching.start()

    def follow_orders(
        self,
        drain: Callable[[], None],
        stop: Callable[[], None],
        *,
        leave: Callable[[], None] = lambda: None,
        note: Callable[[dict[str, Any]], None] = lambda _: None,
        gone: Callable[[], None] | None = None,
    ) -> None:
        """Follow orders from now on, in the running loop.

        Args:
            drain: Called when the live calls are to finish; may be called more than once.
            stop: Called when they are to end now.
            leave: Called when another worker answers on the health port.
            note: Called with what the supervisor lets its workers know.
            gone: Called when there is no supervisor any more; by default `drain`.
        """
        orders = {DRAIN: drain, STOP: stop, LEAVE: leave}
        loop = asyncio.get_running_loop()

        def read() -> None:
            for order in self._receive():
                if isinstance(order, dict):
                    note(order)
                elif order in orders:
                    orders[order]()

        def end() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the worker ends anyway
                loop.call_soon_threadsafe(gone or drain)

        self._connection.setblocking(False)
        loop.add_reader(self._connection, read)
        self._end = end
        self.watch()

    def count_unread(self) -> int:
        """Return how many orders to stop wait to be followed: more than none for long where the loop is blocked."""
        try:
            waiting = self._connection.recv(MOST_AT_ONCE, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            waiting = b""
        # A supervisor that is gone is one order: to finish the live calls.
        return sum(message in (DRAIN, STOP) for message in Messages().feed(waiting)) if waiting else 1

    def _receive(self) -> list[bytes | dict[str, Any]]:
        try:
            received = self._connection.recv(MOST_AT_ONCE)
        except BlockingIOError:
            return []
        except OSError:
            received = b""
        if not received:  # `_wait_until_gone` notices, too
            asyncio.get_running_loop().remove_reader(self._connection)
        return list(self._messages.feed(received))

    def _wait_until_gone(self) -> None:
        # Not in the loop, which may be blocked, and without reading: a poll for no event waits for the other end alone.
        poll = select.poll()
        try:
            poll.register(self._connection, 0)
            poll.poll()
        except (OSError, ValueError):  # this end is closed: nobody is to be told any more
            return
        if self._connection.fileno() < 0:
            return
        logger.error("the supervisor is gone: this worker takes no more calls, and ends when the live ones have")
        for call in self._when_gone:
            call()
        self._end()


def _end_process() -> None:
    exit_process(SUPERVISOR_GONE)
