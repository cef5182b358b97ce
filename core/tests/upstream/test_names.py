"""Contract with livekit-agents: what several registrations of one worker rely on."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

import pytest
from livekit.agents import AgentServer, JobContext, JobRequest, utils

from openrtc.upstream.health import HealthStandIn
from openrtc.upstream.jobs import PooledAgentServer
from openrtc.upstream.names import FurtherAgentServer, register_under
from openrtc.worker.pool_share import PoolShare

OPTIONS: dict[str, Any] = {"ws_url": "ws://x", "api_key": "k", "api_secret": "s"}
RUN = textwrap.dedent(inspect.getsource(AgentServer.run))


async def entry(context: JobContext) -> None: ...


async def answer(request: JobRequest) -> None: ...


def attributes_of(source: str, base: str) -> set[str]:
    """Return the names that a source reads or calls on ``base``."""
    tree = ast.parse(textwrap.dedent(source))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == base}


def test_the_server_uses_only_what_a_share_of_the_pool_has() -> None:
    used = attributes_of(inspect.getsource(AgentServer), "self._proc_pool")
    assert used and all(hasattr(PoolShare, name) for name in used), used


def test_the_empty_name_is_not_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_AGENT_NAME", "per-agent,automatic")
    server = AgentServer(**OPTIONS)
    register_under(server, "", entry, answer)
    assert server._agent_name == ""
    named = AgentServer(**OPTIONS)
    register_under(named, "support", entry, answer)
    assert named._agent_name == "support"
    plain = AgentServer(**OPTIONS)
    plain.rtc_session(entry)
    assert plain._agent_name == "per-agent,automatic", "livekit-agents reads it no more: register_under can go"


def test_the_registration_sends_the_name_that_was_registered() -> None:
    assert "req.register.agent_name = self._agent_name" in inspect.getsource(AgentServer._connection_task)


def test_a_further_server_keeps_no_inference_process() -> None:
    server = FurtherAgentServer(lambda one, pool: pool, **OPTIONS)
    server._inference_executor = object()
    assert server._inference_executor is None
    assert RUN.index("self._inference_executor = ") < RUN.index("await self._inference_executor.start()")
    tree = ast.parse(RUN)
    guarded = [ast.unparse(node.test) for node in ast.walk(tree) if isinstance(node, ast.If)]
    assert "self._inference_executor is not None" in guarded


async def test_a_further_server_listens_nowhere() -> None:
    server = FurtherAgentServer(lambda one, pool: pool, **OPTIONS, publish=None)
    assert server._http_server is None
    server._http_server = utils.http_server.HttpServer("127.0.0.1", 4711)
    assert isinstance(server._http_server, HealthStandIn)
    await server._http_server.start()
    await server._http_server.aclose()
    assert isinstance(server, PooledAgentServer)


def test_the_server_tells_that_it_has_started_before_it_is_connected() -> None:
    assert 'self.emit("worker_started")' in RUN
    assert RUN.index('self.emit("worker_started")') < RUN.index("await self._close_future")
