"""What holds for every request to the health server, whichever route it takes: who is asked, and how long it may take.

A route may take for granted that a body is there and not too large; what it raises is one line of the log.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from openrtc.errors import one_line, summarize_error
from openrtc.observe.health.connections import Connection, Connections
from openrtc.observe.health.listening import names_loopback

logger = logging.getLogger("openrtc.health")

BODY_SECONDS = 10.0
"""How long the body of a request may take to come, from the end of its head."""
MAKE_ANSWER_SECONDS = 10.0
"""How long an answer may take to be made, and then to be read by whoever asked."""
MOST_BODY = 1 << 20
"""Bytes of a body at most."""


class RequestLimits:
    """Holds every request to the limits; a middleware of aiohttp's.

    Args:
        connections: Of the server.
        loopback: Whether only this machine reaches the server: then the request must be meant for this machine.
    """

    def __init__(self, connections: Connections, *, loopback: bool) -> None:
        self._connections = connections
        self._loopback = loopback

    def build_middleware(self) -> Middleware:
        """Return the middleware."""

        @web.middleware
        async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = self._connections.find(request.transport)
            if connection is None:  # it has ended meanwhile
                return web.Response(status=503)
            connection.begin_request()
            try:
                response = self._why_wrong_host(request) or await _read_body(request) or await _answer(request, handler)
                await _send(connection, request, response)
                return response
            finally:
                connection.end_request()

        return handle

    def _why_wrong_host(self, request: web.Request) -> web.Response | None:
        hosts = request.headers.getall("Host", [])
        if len(hosts) > 1 or (not hosts and request.version >= (1, 1)):
            return refuse(400, "a request has one Host")
        # `request.host` is that of a whole URL, where the request has one instead of a path.
        asked = {*hosts, request.host} if hosts else set()
        if self._loopback and (wrong := next((host for host in asked if not names_loopback(host)), None)) is not None:
            return refuse(403, f"this server answers for 127.0.0.1, [::1] and localhost, and not for {wrong!a}")
        return None


def refuse(status: int, text: str) -> web.Response:
    """Return an answer that ends the connection."""
    response = web.Response(status=status, text=f"{one_line(text)}\n")
    response.force_close()
    return response


async def _read_body(request: web.Request) -> web.Response | None:
    """Read the whole body, which the request then keeps; returns what to answer where it does not come."""
    if not request.can_read_body:
        return None
    if (request.content_length or 0) > MOST_BODY:
        return refuse(413, f"a body has at most {MOST_BODY} bytes")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            await request.read()
    except TimeoutError:
        return refuse(408, "the body did not come in time")
    except web.HTTPException as error:  # it is too large, though it did not say so
        return refuse(error.status, error.reason)
    except (web.RequestPayloadError, OSError, ValueError) as error:
        return refuse(400, f"the body cannot be read: {error}")
    return None


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        async with asyncio.timeout(MAKE_ANSWER_SECONDS):
            return await handler(request)
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return web.Response(status=error.status, text=error.text, headers=headers)
    except TimeoutError:
        logger.error("%s %s was not answered in %g s", request.method, one_line(request.path, 200), MAKE_ANSWER_SECONDS)
        return refuse(503, f"no answer in {MAKE_ANSWER_SECONDS:g} s")
    except Exception as error:  # of a route: whatever it is, the next request is answered
        logger.error("%s %s fails: %s", request.method, one_line(request.path, 200), summarize_error(error))
        logger.debug("health request", exc_info=error)
        return refuse(500, "this cannot be answered; the log of the worker says why")


async def _send(connection: Connection, request: web.Request, response: web.StreamResponse) -> None:
    try:
        async with asyncio.timeout(MAKE_ANSWER_SECONDS):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        logger.debug("an answer was not read in %g s", MAKE_ANSWER_SECONDS)
        connection.abort()
    except ConnectionError:
        logger.debug("whoever asked has gone before the answer")
