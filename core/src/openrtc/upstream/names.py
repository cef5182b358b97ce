"""Registers one worker under several agent names.

An `AgentServer` has one agent name, so there is one for each. All but the first have neither a pool nor an inference
process nor a health server of their own: data descriptors keep away what `AgentServer.run` would make for them. With
ten names there would otherwise be ten inference processes, and nine health servers that find the port taken.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from livekit.agents import AgentServer, JobContext, JobRequest

from openrtc.upstream.health import answer_nowhere
from openrtc.upstream.jobs import PooledAgentServer

_NAME_VARIABLE = "LIVEKIT_AGENT_NAME"


def register_under(
    server: AgentServer,
    name: str,
    entrypoint: Callable[[JobContext], Awaitable[None]],
    on_request: Callable[[JobRequest], Awaitable[None]],
    **callbacks: Any,
) -> None:
    """Register what a server runs, under a name; the empty one stands for automatic dispatch.

    livekit-agents would take an empty name from the environment, where OpenRTC's setting may be ``per-agent``, which is
    no name.

    Args:
        server: The server.
        name: The name.
        entrypoint: Runs each job.
        on_request: Answers each job request.
        **callbacks: Further ones, as ``rtc_session`` takes them.
    """
    kept = os.environ.pop(_NAME_VARIABLE, None)
    try:
        server.rtc_session(entrypoint, agent_name=name, on_request=on_request, **callbacks)
    finally:
        if kept is not None:
            os.environ[_NAME_VARIABLE] = kept


class FurtherAgentServer(PooledAgentServer):
    """A further registration of a worker; the first one's pool, inference process and health server serve it, too.

    Args:
        make_pool: As for `PooledAgentServer`.
        **options: Arguments of `AgentServer`.
    """

    def __init__(self, make_pool: Callable[[PooledAgentServer, Any], Any], **options: Any) -> None:
        super().__init__(make_pool, **{**options, "publish": answer_nowhere})

    @property
    def _inference_executor(self) -> None:
        # None also means to `AgentServer.run` that there is nothing to start.
        return None

    @_inference_executor.setter
    def _inference_executor(self, executor: Any) -> None:
        """Keep none: it has not been started."""
