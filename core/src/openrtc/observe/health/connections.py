"""The connections of the health server: how many there may be, and how long each waits for its next request.

Whoever reaches the port may open connections and say nothing. Each holds a descriptor, of which calls need many, so
there is a limit, and whoever does not say what he wants in time is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Sequence

from openrtc.posix import FreeDescriptors, count_free_descriptors

logger = logging.getLogger("openrtc.health")

MOST_CONNECTIONS = 64
"""A further one is answered 503 and closed at once, unless there is one that waits between two requests."""
HEAD_SECONDS = 5.0
"""How long a connection waits for the whole head of its first or next request."""
LAST_REQUEST_SECONDS = 0.2
"""How long it waits for one when the other side has said that it sends nothing more."""
KEPT_DESCRIPTORS = 32
"""Descriptors that are left to the calls: with fewer, there are no more connections."""
EXHAUSTED_SECONDS = 0.5
"""How long nothing is accepted where the system has no descriptor or memory for it."""
ACCEPTED_AT_ONCE = 64
"""Connections that are accepted before the others go on."""
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
LEAVE_LOOK_SECONDS = 0.01
"""Between two looks whether the last connection has ended."""
RECEIVED_BYTES = 65_536
"""What is read of a connection at once."""


def build_answer(status: str, text: str) -> bytes:
    """Return a whole HTTP answer that ends its connection."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(text)}"
    return f"{head}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{text}".encode("ascii")


BUSY = build_answer("503 Service Unavailable", "too many connections")
LATE = build_answer("408 Request Timeout", "the request did not come in time")


class Connection(asyncio.Protocol):
    """One connection: hands everything on to what reads the requests, and ends where none comes in time.

    Args:
        inner: What reads the requests.
        forget: Called with this connection when it ends.
    """

    def __init__(self, inner: asyncio.Protocol, forget: Callable[[Connection], None]) -> None:
        self._inner = inner
        self._forget = forget
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._served = False
        self._received = False
        self._ended = False

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport; None before the connection is there."""
        return self._transport

    @property
    def idle(self) -> bool:
        """Whether it has been answered, and nothing of a further request has come."""
        return self._served and not self._received and self._waiting is not None

    def begin_request(self) -> None:
        """Note that the whole head of a request is there."""
        self._stop_waiting()

    def end_request(self) -> None:
        """Note that it is answered: wait for the next one."""
        self._served, self._received = True, False
        self._wait()

    def close(self) -> None:
        """End the connection when what was written is out."""
        self._stop_waiting()
        self._forget(self)
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """End the connection now."""
        self._stop_waiting()
        self._forget(self)
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # so that an answer counts as written when it is out
        self._inner.connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        self._received = True
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        self._inner.eof_received()
        self._ended = True
        if self._waiting:
            self._stop_waiting()
            self._wait()
        return True  # whoever has sent all that he wants still waits for the answer

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._forget(self)
        self._inner.connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is None and self._transport and not self._transport.is_closing():
            seconds = LAST_REQUEST_SECONDS if self._ended else HEAD_SECONDS
            self._waiting = asyncio.get_running_loop().call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        if self._received and self._transport:
            self._transport.write(LATE)
        self.close()


class Connections:
    """All connections of a server, and the sockets from which they come; used in its loop.

    Args:
        listeners: Sockets that listen.
        build_protocol: Returns what reads the requests of a new connection.
    """

    def __init__(self, listeners: Sequence[socket.socket], build_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listeners = listeners
        self._build_protocol = build_protocol
        self._open: set[Connection] = set()
        self._starting: set[asyncio.Task[None]] = set()
        self._free = FreeDescriptors(lambda: count_free_descriptors())

    def start(self) -> None:
        """Accept connections from now on."""
        for listener in self._listeners:
            self._listen(listener)

    def stop(self) -> None:
        """Accept none any more, and end those that wait between two requests."""
        for listener in self._listeners:
            if listener.fileno() >= 0:
                asyncio.get_running_loop().remove_reader(listener)
                listener.close()
        for connection in list(self._open):
            if connection.idle:
                connection.close()

    async def wait_until_none(self) -> None:
        """Wait for the end of all connections."""
        while self._open:  # noqa: ASYNC110 - few, and seldom
            await asyncio.sleep(LEAVE_LOOK_SECONDS)

    def close(self) -> None:
        """Accept none any more, and end those that there are."""
        self.stop()
        for connection in list(self._open):
            connection.abort()

    def find(self, transport: asyncio.BaseTransport | None) -> Connection | None:
        """Return the connection with a transport; None where it has ended."""
        return next((one for one in self._open if one.transport is transport), None)

    def _listen(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                client, _ = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:  # it has gone already
                continue
            except OSError as error:
                self._pause(listener, error)
                return
            client.setblocking(False)
            if reason := self._why_not_another():
                turn_away(client)
                logger.warning("the health server answers 503: %s", reason)
            else:
                self._open_connection(client)

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        # asyncio's own servers say so a hundred times a second, and ask the system as often.
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        loop.call_later(EXHAUSTED_SECONDS, self._listen, listener)
        level = logging.WARNING if error.errno in EXHAUSTED else logging.ERROR
        logger.log(level, "the health server cannot accept a connection: %s", error.strerror or error)

    def _why_not_another(self) -> str | None:
        if len(self._open) >= MOST_CONNECTIONS:
            idle = next((one for one in self._open if one.idle), None)
            if idle is None:
                return f"it has {MOST_CONNECTIONS} connections"
            idle.close()
        if self._free.look() < KEPT_DESCRIPTORS:
            return f"this process has less than {KEPT_DESCRIPTORS} descriptors left, which are for calls"
        return None

    def _open_connection(self, client: socket.socket) -> None:
        connection = Connection(self._build_protocol(), self._open.discard)
        self._open.add(connection)
        self._free.take()
        starting = asyncio.get_running_loop().create_task(self._start(connection, client))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)

    async def _start(self, connection: Connection, client: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, client)
        except OSError as error:
            logger.debug("a connection has ended before it began: %s", error)
            self._open.discard(connection)
            client.close()


def turn_away(client: socket.socket) -> None:
    """Answer 503 and close a connection, without waiting for what it wants."""
    with client, contextlib.suppress(OSError):
        client.send(BUSY)
        client.shutdown(socket.SHUT_WR)
        client.recv(RECEIVED_BYTES)  # what is unread at the close would let the other side lose the answer
