"""What OpenRTC needs of livekit-agents' private names to register one worker under several agent names.

An `AgentServer` has one agent name, so there is one for each. All but the first have neither a pool nor an inference
process nor a health server of their own: data descriptors keep away what `AgentServer.run` would make for them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiohttp import web
from livekit.agents import AgentServer, JobContext, JobRequest

from openrtc.worker.upstream.jobs import PooledAgentServer

_NAME_VARIABLE = "LIVEKIT_AGENT_NAME"


def register_under(
    server: AgentServer,
    name: str,
    entrypoint: Callable[[JobContext], Awaitable[None]],
    on_request: Callable[[JobRequest], Awaitable[None]],
) -> None:
    """Register what a server runs, under a name; the empty one stands for automatic dispatch.

    livekit-agents would take an empty name from the environment, where OpenRTC's setting stands, which is no name.
    """
    with _without_variable():
        server.rtc_session(entrypoint, agent_name=name, on_request=on_request)


@contextlib.contextmanager
def _without_variable() -> Iterator[None]:
    kept = os.environ.pop(_NAME_VARIABLE, None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ[_NAME_VARIABLE] = kept


class FurtherAgentServer(PooledAgentServer):
    """A further registration of a worker; the first one's pool, inference process and health server serve it, too.

    Args:
        make_pool: As for `PooledAgentServer`.
        **options: Arguments of `AgentServer`.
    """

    @property
    def _http_server(self) -> Any:
        return self.__dict__.get("_health")

    @_http_server.setter
    def _http_server(self, health: Any) -> None:
        self.__dict__["_health"] = None if health is None else _NoHealthServer(health.host, health.port)

    @property
    def _inference_executor(self) -> None:
        return None

    @_inference_executor.setter
    def _inference_executor(self, executor: Any) -> None:
        """Keep none: it has not been started."""


class _NoHealthServer:
    """Stands where a server has its health server: takes routes and listens nowhere."""

    def __init__(self, host: str, port: int) -> None:
        self.app = web.Application()
        self.host = host
        self.port = port

    async def start(self) -> None:
        """Nothing to start."""

    async def aclose(self) -> None:
        """Nothing to close."""
