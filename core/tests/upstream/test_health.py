"""Contract with livekit-agents: what stands in for its health server."""

from __future__ import annotations

import ast
import inspect
import logging
import textwrap
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from livekit.agents import AgentServer, utils

from openrtc.upstream.digest import describe_changes, find_changes
from openrtc.upstream.health import HealthStandIn, RoutedAgentServer, answer_nowhere

OPTIONS: dict[str, Any] = {"ws_url": "ws://x", "api_key": "k", "api_secret": "s"}
RUN = textwrap.dedent(inspect.getsource(AgentServer.run))
OURS = ("/ready", "/agents", "/metrics")


def names_on(base: str, *functions: Any) -> set[str]:
    """Return the names that functions read or call on ``base``."""
    trees = [ast.parse(textwrap.dedent(inspect.getsource(function))) for function in functions]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if ast.unparse(node.value) == base}


def test_the_server_uses_of_its_health_server_only_what_the_stand_in_has() -> None:
    assert find_changes("health") == {}
    stand_in = HealthStandIn("127.0.0.1", 8081, answer_nowhere)
    worker_info = vars(AgentServer)["worker_info"].fget
    used = names_on("self._http_server", AgentServer.run, AgentServer.aclose, worker_info)
    assert {"app", "start", "aclose", "host", "port"} <= used and all(hasattr(stand_in, name) for name in used)
    assert names_on("self._http_server.app", AgentServer) == {"add_routes"}


def test_the_health_server_is_made_once_and_has_its_routes_before_it_starts() -> None:
    made = [
        ast.unparse(node.value)
        for node in ast.walk(ast.parse(RUN))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "self._http_server"
    ]
    assert len(made) == 1 and made[0].startswith("http_server.HttpServer(")
    assert RUN.index("self._http_server = ") < RUN.index("add_routes(") < RUN.index("await self._http_server.start()")
    assert not any(f'"{path}"' in RUN for path in OURS), "aiohttp refuses a second route of one path"


def test_what_it_answers_is_read_in_any_thread() -> None:
    handlers = [node for node in ast.walk(ast.parse(RUN)) if isinstance(node, ast.AsyncFunctionDef)]
    answers = {node.name: ast.unparse(node) for node in handlers if node.name in ("health_check", "worker")}
    assert len(answers) == 2
    assert not any(
        word in text for text in answers.values() for word in ("await ", "_loop", "call_soon", "create_task")
    )


def test_another_way_to_make_it_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(self: Any) -> None: ...

    monkeypatch.setattr(AgentServer, "run", run)
    assert describe_changes("health") == "livekit.agents.worker:AgentServer.run has changed"


async def test_its_routes_are_handed_on_when_it_would_listen() -> None:
    told: list[web.AbstractRouteDef] = []

    async def publish(routes: Sequence[web.AbstractRouteDef]) -> None:
        told.extend(routes)

    server = RoutedAgentServer(publish=publish, **OPTIONS)
    assert server._http_server is None

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="yes")

    server._http_server = utils.http_server.HttpServer("127.0.0.1", 4711)
    server._http_server.app.add_routes([web.get("/", answer)])
    assert told == [] and server.worker_info.http_port == 4711
    await server._http_server.start()
    (route,) = told
    assert isinstance(route, web.RouteDef) and route.path == "/"
    answered: Any = await route.handler(make_mocked_request("GET", "/"))
    assert answered.text == "yes"
    await server._http_server.aclose()


def test_a_server_that_nobody_answers_for_listens_itself() -> None:
    server = RoutedAgentServer(publish=None, **OPTIONS)
    health = utils.http_server.HttpServer("127.0.0.1", 0)
    server._http_server = health
    assert server._http_server is health


def test_no_line_says_that_it_listens(caplog: pytest.LogCaptureFixture) -> None:
    HealthStandIn("127.0.0.1", 8081, answer_nowhere)
    upstream = logging.getLogger("livekit.agents")
    with caplog.at_level(logging.INFO, "livekit.agents"):
        upstream.info("HTTP server listening on 127.0.0.1:8081")
        upstream.info("starting worker")
    assert caplog.messages == ["starting worker"]
    assert "HTTP server listening on" in RUN
