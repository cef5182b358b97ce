"""`ControlChannel`: a worker's socket to its supervisor: orders come in, news goes out.

Orders come this way and not as signals: a service manager that signals every process of a group at once would
otherwise be taken for an operator who signals twice. The socket is also how a worker notices that its supervisor has
died: its other end closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from openrtc.worker.process_exit import SUPERVISOR_GONE, exit_process

logger = logging.getLogger("openrtc.worker")

DRAIN, STOP = b"d", b"s"
"""Orders to a worker: finish the live calls, or end them now."""

REGISTERED, REPLACE, DRAIN_ALL = b"r", b"x", b"a"
"""News from a worker: the LiveKit server has registered it, it takes no more calls and another one is needed, or its
operator lets all workers drain."""

MOST_AT_ONCE = 64
"""Bytes to read at once: a message is one byte, and a worker gets or sends a handful in its life."""


class ControlChannel:
    """A worker's end of the socket to the process that started it.

    Args:
        connection: The socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def report(self, news: bytes) -> None:
        """Send news to the supervisor."""
        # One that is gone needs none; the reader notices and ends this process.
        with contextlib.suppress(OSError):
            self._connection.send(news)

    def follow_orders(self, drain: Callable[[], None], stop: Callable[[], None]) -> None:
        """Follow orders from now on, in the running loop; the process ends when the supervisor has.

        Args:
            drain: Called when the live calls are to finish; may be called more than once.
            stop: Called when they are to end now.
        """
        orders = {DRAIN[0]: drain, STOP[0]: stop}

        def read() -> None:
            for order in self._receive():
                orders[order]()

        self._connection.setblocking(False)
        asyncio.get_running_loop().add_reader(self._connection, read)

    def count_unread(self) -> int:
        """Return how many orders wait to be followed: more than none for long where the loop is blocked."""
        try:
            return len(self._connection.recv(MOST_AT_ONCE, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:  # there is none, or the supervisor is gone
            return 0

    def _receive(self) -> bytes:
        try:
            received = self._connection.recv(MOST_AT_ONCE)
        except BlockingIOError:
            return b""
        except OSError:
            received = b""
        if not received:
            # At once and without a drain: nobody would stop or replace this worker any more.
            logger.error("the supervisor is gone: this worker ends")
            exit_process(SUPERVISOR_GONE)
        return received
