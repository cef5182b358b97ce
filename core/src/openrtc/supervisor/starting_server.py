"""`StartingServer`: answers on the workers' health ports that they are starting, until they listen there themselves.

The fork server cannot, since it has one thread and imports packages in it. This is done in the supervisor's loop, and
without aiohttp, which would nearly double the supervisor's memory: a head is read, and one of two answers written.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Callable

from openrtc.errors import OpenRTCError
from openrtc.observe.health.listening import is_loopback, names_loopback, open_listeners
from openrtc.observe.health.readiness import STARTING, describe_readiness

logger = logging.getLogger("openrtc.health")

HEAD_BYTES = 8192
"""Bytes of a request's head at most, as aiohttp has for one line of it."""
STARTING_ANSWER_SECONDS = 5.0
"""How long a request may take to come, and its answer to be read."""
MOST_CLIENTS = 32
"""Requests at a time: a few probes, and not a descriptor for whoever likes to connect."""


class StartingServer:
    """Answers ``503``, on one port for each worker.

    Args:
        host: Where the workers listen.
        port: The first worker's port; each further one has the next. 0: nobody knows their ports, and none is answered.
        count: How many workers there are.
        describe: Returns what there is to tell of what the start waits for, if there is.
    """

    def __init__(self, host: str, port: int, count: int, describe: Callable[[], str]) -> None:
        self._host, self._ports = host, range(port, port + count) if port else range(0)
        self._describe = describe
        self._servers: list[asyncio.Server] = []
        self._clients = 0

    async def open(self) -> None:
        """Answer from now on.

        Raises:
            OpenRTCError: It cannot listen there.
        """
        for port in self._ports:
            for listener in open_listeners(self._host, port):
                loopback = is_loopback(listener)

                async def answer(
                    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, loopback: bool = loopback
                ) -> None:
                    await self._answer(reader, writer, loopback)

                self._servers.append(await asyncio.start_server(answer, sock=listener, limit=HEAD_BYTES))

    async def reopen(self) -> None:
        """Answer again, as far as nobody else has the ports."""
        try:
            await self.open()
        except OpenRTCError as error:
            logger.info("%s", error)

    def close(self) -> None:
        """Leave the ports to the workers."""
        for server in self._servers:
            server.close()
        self._servers.clear()

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
            return _build_response("503 Service Unavailable", "text/plain", f"{STARTING}\n")
        answer = describe_readiness(STARTING, waits_for=self._describe())
        return _build_response("503 Service Unavailable", "application/json", json.dumps(answer))


def _build_response(status: str, kind: str, text: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
