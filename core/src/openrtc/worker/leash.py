"""What ties a worker to its supervisor: orders come in, news go out, and a worker whose supervisor is gone ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from openrtc.worker.exit_codes import SUPERVISOR_GONE
from openrtc.worker.leave import leave

logger = logging.getLogger("openrtc.worker")

DRAIN, STOP = b"d", b"s"
"""Orders to a worker: finish the live calls, or end them now."""

REGISTERED, REPLACE = b"r", b"x"
"""News of a worker: the LiveKit server has it, or it takes no more calls and another one is needed."""


class Leash:
    """A worker's socket to the process that started it.

    Args:
        connection: The socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def say(self, news: bytes) -> None:
        """Tell the supervisor something; one that is gone hears nothing."""
        with contextlib.suppress(OSError):
            self._connection.send(news)

    def follow(self, drain: Callable[[], None], stop: Callable[[], None]) -> None:
        """Follow orders from now on, in the running loop.

        Args:
            drain: Called when the live calls are to finish; may be called more than once.
            stop: Called when they are to end now.
        """
        orders = {DRAIN[0]: drain, STOP[0]: stop}

        def read() -> None:
            for order in self._received():
                orders[order]()

        self._connection.setblocking(False)
        asyncio.get_running_loop().add_reader(self._connection, read)

    def _received(self) -> bytes:
        try:
            received = self._connection.recv(64)
        except BlockingIOError:
            return b""
        except OSError:
            received = b""
        if not received:
            logger.error("the supervisor is gone: this worker ends")
            leave(SUPERVISOR_GONE)
        return received


_leash: Leash | None = None
"""This process's leash; one without a supervisor has none."""


def put_on_leash(leash: Leash | None) -> None:
    """Set this process's leash."""
    global _leash
    _leash = leash


def on_leash() -> Leash | None:
    """Return this process's leash, None where there is no supervisor."""
    return _leash


def ask_to_be_replaced() -> None:
    """Ask for another worker in the place of this one, which is about to drain; without a supervisor, do nothing."""
    if _leash is not None:
        _leash.say(REPLACE)
