"""Stands in for livekit-agents' health server, so that what it would answer is answered by OpenRTC's own.

`AgentServer.run` makes an `HttpServer`, adds its routes and starts it, all in one function. What stands in its place
takes the routes, and hands them to whoever answers them: what they read may be read in any thread.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from aiohttp import web
from livekit.agents import AgentServer

Publish = Callable[[Sequence[web.AbstractRouteDef]], Awaitable[None]]
"""Takes the routes of livekit-agents' own, ``/`` and ``/worker``, when it would begin to listen."""

_LISTENING = "HTTP server listening on"
"""How livekit-agents' line begins that says where it listens, which it does not."""


async def answer_nowhere(_: Sequence[web.AbstractRouteDef]) -> None:
    """Let nobody answer the routes."""


class RoutedAgentServer(AgentServer):
    """An `AgentServer` that does not listen itself.

    Args:
        publish: Is given its routes; None lets it listen as livekit-agents does.
        **options: Arguments of `AgentServer`.
    """

    def __init__(self, *, publish: Publish | None = None, **options: Any) -> None:
        self._openrtc_publish = publish  # first: the constructor assigns `_http_server`, too
        super().__init__(**options)

    @property
    def _http_server(self) -> Any:
        return self._openrtc_health

    @_http_server.setter
    def _http_server(self, health: Any) -> None:
        if health is not None and self._openrtc_publish is not None:
            health = HealthStandIn(health.host, health.port, self._openrtc_publish)
        self._openrtc_health = health


class HealthStandIn:
    """Stands where a server has its health server: takes routes, and listens nowhere.

    Args:
        host: Where livekit-agents' own would listen.
        port: On which port.
        publish: As for `RoutedAgentServer`.
    """

    def __init__(self, host: str, port: int, publish: Publish) -> None:
        self.app = self
        self.host = host
        self.port = port
        self._publish = publish
        self._routes: list[web.AbstractRouteDef] = []
        logging.getLogger("livekit.agents").addFilter(_is_true)  # logging adds the same one once

    def add_routes(self, routes: Iterable[web.AbstractRouteDef]) -> None:
        """Take routes, as an application of aiohttp's does."""
        self._routes += routes

    async def start(self) -> None:
        """Hand the routes on."""
        await self._publish(self._routes)

    async def aclose(self) -> None:
        """Nothing to close."""


def _is_true(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_LISTENING)
