"""`HealthServer`: answers HTTP in a thread of its own, so that a worker whose loop is blocked answers, too."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from openrtc.errors import summarize_error
from openrtc.observe.health.connections import HEAD_SECONDS, Connections
from openrtc.observe.health.listening import describe_address, is_loopback, open_listeners
from openrtc.observe.health.requests import MOST_BODY, RequestLimits

logger = logging.getLogger("openrtc.health")

FINISH_SECONDS = 0.5
"""How long requests that are being answered have when the routes change, or the server ends."""
SERVER_END_SECONDS = 2.0
"""How long the end of the server may take; its thread does not keep the process."""


class HealthServer:
    """An HTTP server in a thread of its own, for a few clients at a time, whose routes can be changed.

    Whoever answers does so in that thread and its loop: nothing of the worker's loop may be touched there, and what
    takes long must not be done there.

    Args:
        host: Where it listens; empty for every address of the machine.
        port: 0 for a free one.
        routes: What it answers at first.
        listeners: Sockets that listen already, in place of host and port; they are closed with the server.
        answers: Whether it accepts connections from the beginning, or from `answer` on.

    Raises:
        OpenRTCError: It cannot listen there.
    """

    def __init__(
        self,
        host: str,
        port: int,
        routes: Iterable[web.AbstractRouteDef],
        *,
        listeners: Sequence[socket.socket] = (),
        answers: bool = True,
    ) -> None:
        self._listeners = list(listeners) or open_listeners(host, port)
        self.host = host
        self.port: int = self._listeners[0].getsockname()[1]
        # Not a new loop of the process's policy, which is whatever a package has set.
        self._loop = asyncio.SelectorEventLoop()
        self._loop.set_exception_handler(_log_lost_error)
        self._connections = Connections(self._listeners, self._build_protocol)
        loopback = all(map(is_loopback, self._listeners))
        self._limits = RequestLimits(self._connections, loopback=loopback)
        self._runner: web.AppRunner | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._answering = False
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="health")
        self._thread.start()
        self.serve(routes).result()
        if answers:
            self.answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """Where it listens, as in a URL."""
        return describe_address(self.host, self.port)

    def serve(self, routes: Iterable[web.AbstractRouteDef]) -> Future[None]:
        """Answer these routes from now on, and no others; may be called in any thread.

        Returns:
            Done as soon as new connections get them. Requests that are being answered have `FINISH_SECONDS`.
        """
        return asyncio.run_coroutine_threadsafe(self._serve(list(routes)), self._loop)

    def answer(self) -> None:
        """Accept connections from now on; may be called in any thread, and again."""
        if not self._answering:
            self._answering = True
            self._loop.call_soon_threadsafe(self._connections.start)
            logger.info("HTTP server listening on %s", self.address)

    def leave(self) -> Future[None]:
        """Accept no further connection, since somebody else does on the same port; may be called in any thread.

        Returns:
            Done when all that were accepted are answered, after `FINISH_SECONDS` at most.
        """
        return asyncio.run_coroutine_threadsafe(self._leave(), self._loop)

    def close(self) -> None:
        """Answer nothing any more; returns after `SERVER_END_SECONDS` at most."""
        with contextlib.suppress(RuntimeError):  # it is closed already
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(SERVER_END_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run_until_closed())

    async def _run_until_closed(self) -> None:
        await self._closing.wait()
        self._connections.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _leave(self) -> None:
        self._connections.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                await self._connections.wait_until_none()

    def _build_protocol(self) -> asyncio.Protocol:
        assert self._runner is not None and self._runner.server is not None
        return self._runner.server()

    async def _serve(self, routes: list[web.AbstractRouteDef]) -> None:
        app = web.Application(middlewares=[self._limits.build_middleware()], client_max_size=MOST_BODY)
        app.add_routes(routes)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_build_logger(),
            shutdown_timeout=FINISH_SECONDS,
            keepalive_timeout=2 * HEAD_SECONDS,  # the connections have this limit themselves
            lingering_time=FINISH_SECONDS,
            auto_decompress=False,
        )
        await runner.setup()
        before, self._runner = self._runner, runner
        if before is not None:
            retiring = asyncio.create_task(before.cleanup())
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)


def _build_logger() -> logging.Logger:
    """Return the logger for what aiohttp reports: with a filter that makes it one line, and requests no errors."""
    of_aiohttp = logging.getLogger("openrtc.health.aiohttp")
    of_aiohttp.addFilter(_shorten)  # logging adds the same one once
    return of_aiohttp


def _shorten(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):  # what is no HTTP request is answered 4xx, and is no news
        logger.debug("a request was answered 400: %s", summarize_error(error))
        return False
    if error is not None:
        record.msg, record.args = f"{record.getMessage()}: {summarize_error(error)}", ()
        record.exc_info = record.exc_text = None
    return True


def _log_lost_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    told = summarize_error(error) if error else context.get("message")
    logger.error("an error of the health server: %s", told)
    logger.debug("%s", context.get("message"), exc_info=error)
