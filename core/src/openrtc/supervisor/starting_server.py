"""`StartingServer`: keeps the workers' health ports, and answers there that they are starting while no worker does.

The ports listen as long as the supervisor lives: workers inherit the sockets, and who accepts a connection answers it.
So no probe is ever refused, whichever worker comes or goes.

The fork server cannot answer, since it has one thread and imports packages in it. This is done in the supervisor's
loop, and without aiohttp, which would nearly double the supervisor's memory: a head is read, and one of two answers
written.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import socket
from collections.abc import Callable

from openrtc.errors import OpenRTCError
from openrtc.observe.health.listening import (
    BACKLOG,
    describe_address,
    is_loopback,
    names_loopback,
    open_listeners,
)
from openrtc.observe.health.readiness import STARTING, describe_readiness

logger = logging.getLogger("openrtc.health")

HEAD_BYTES = 8192
"""Bytes of a request's head at most, as aiohttp has for one line of it."""
STARTING_ANSWER_SECONDS = 5.0
"""How long a request may take to come, and its answer to be read."""
MOST_CLIENTS = 32
"""Requests at a time: a few probes, and not a descriptor for whoever likes to connect."""


class StartingServer:
    """Listens on one port for each worker, and answers ``503`` on those on which no worker answers.

    Args:
        host: Where the workers listen.
        port: The first worker's port; each further one has the next. 0: nobody knows their ports, and each listens on
            one of its own.
        count: How many workers there are.
        describe: Returns what there is to tell of what the start waits for, if there is.
    """

    def __init__(self, host: str, port: int, count: int, describe: Callable[[], str]) -> None:
        self._host, self._ports = host, range(port, port + count) if port else range(0)
        self._describe = describe
        self._listeners: list[list[socket.socket]] = []
        self._servers: dict[int, list[asyncio.Server]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients = 0
        self.reason = STARTING
        """Why no worker answers."""

    @property
    def doors(self) -> tuple[tuple[int, ...], ...]:
        """The descriptors of the sockets that listen, for each worker."""
        return tuple(tuple(listener.fileno() for listener in listeners) for listeners in self._listeners)

    def open(self) -> None:
        """Listen from now on, and answer everywhere.

        Raises:
            OpenRTCError: It cannot listen there.
        """
        try:
            for port in self._ports:
                self._listeners.append(open_listeners(self._host, port))
        except OpenRTCError:
            self.close()
            raise
        for slot in range(len(self._listeners)):
            self.answer(slot)

    def answer(self, slot: int) -> None:
        """Answer on the port of a worker, since it does not."""
        if slot < len(self._listeners) and slot not in self._servers:
            self._servers[slot] = []
            task = asyncio.get_running_loop().create_task(self._start(slot), name="starting-server")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def leave(self, slot: int) -> None:
        """Let a worker answer on its port."""
        for server in self._servers.pop(slot, ()):
            server.close()

    def describe(self, slot: int) -> str:
        """Return where a worker answers, as in a URL; empty where only it knows that."""
        return describe_address(self._host, self._ports[slot]) if slot < len(self._listeners) else ""

    def close(self) -> None:
        """Listen no more."""
        for slot in list(self._servers):
            self.leave(slot)
        for listener in (one for listeners in self._listeners for one in listeners):
            listener.close()
        self._listeners.clear()

    async def _start(self, slot: int) -> None:
        for listener in self._listeners[slot]:
            loopback = is_loopback(listener)

            async def answer(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, loopback: bool = loopback
            ) -> None:
                await self._answer(reader, writer, loopback)

            # A copy, since it closes that when it ends; the socket itself goes on listening.
            server = await asyncio.start_server(answer, sock=listener.dup(), limit=HEAD_BYTES, backlog=BACKLOG)
            if slot not in self._servers:  # a worker answers by now
                server.close()
                return
            self._servers[slot].append(server)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, loopback: bool) -> None:
        if self._clients >= MOST_CLIENTS:
            writer.close()
            return
        self._clients += 1
        try:
            async with asyncio.timeout(STARTING_ANSWER_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._build_answer(head.decode("latin-1"), loopback))
                await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):  # no whole request: there is no answer
            logger.debug("a request came to no end")
        finally:
            self._clients -= 1
            writer.close()
            with contextlib.suppress(OSError):  # whoever asked has gone
                await writer.wait_closed()

    def _build_answer(self, head: str, loopback: bool) -> bytes:
        hosts = re.findall(r"\r\nhost:[ \t]*([^\r]*?)[ \t]*(?=\r)", head, re.IGNORECASE)
        if loopback and not all(names_loopback(host) for host in hosts):  # as the workers' own server
            return _build_response("403 Forbidden", "text/plain", "this server answers for this machine only\n")
        words = head.split(" ", 2)
        if words[1:2] != ["/ready"]:
            return _build_response("503 Service Unavailable", "text/plain", f"{self.reason}\n")
        answer = describe_readiness(self.reason, waits_for=self._describe())
        return _build_response("503 Service Unavailable", "application/json", json.dumps(answer))


def _build_response(status: str, kind: str, text: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
