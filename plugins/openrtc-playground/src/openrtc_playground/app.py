"""What the playground answers: the page, and what the page asks for."""

from __future__ import annotations

import asyncio
import http
import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from openrtc.dispatch.connection import LiveKitConnection
from openrtc.errors import OpenRTCError, one_line
from openrtc.model.dispatch_names import PER_AGENT
from openrtc.settings.config import Config
from openrtc.suggest import did_you_mean
from openrtc_playground.agents import InstalledAgents, list_agents
from openrtc_playground.calls import list_calls
from openrtc_playground.safety import LARGEST_BODY, RefusedError, build_guard, build_headers, tell_error
from openrtc_playground.tickets import Tickets
from openrtc_playground.tokens import create_call_token, create_watch_token

STATIC = Path(__file__).parent / "static"
LONGEST_NAME = 512
"""Characters of a name of an agent or room."""


@dataclass(kw_only=True)
class Playground:
    """What the playground works with.

    Args:
        config: The settings.
        connection: The LiveKit server, and the workers' names.
        key: What the page has to know.
        agent: The agent that the page has chosen at first.
        port: Where it listens; 0 until it does.
    """

    config: Config
    connection: LiveKitConnection
    key: str
    agent: str = ""
    port: int = 0

    @property
    def address(self) -> str:
        """The address to open. It contains the key."""
        return f"http://127.0.0.1:{self.port}/?key={self.key}"


def build_app(playground: Playground, tickets: Tickets | None = None) -> web.Application:
    """Return what answers the requests.

    Args:
        playground: What it works with.
        tickets: What a browser that is opened shows once, instead of the key.
    """
    installed, connection = InstalledAgents(playground.config), playground.connection

    async def show_page(request: web.Request) -> web.StreamResponse:
        files = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.is_file()}
        path = files.get(request.match_info.get("name", "index.html"))
        if path is None:  # a name is looked up, and leads nowhere else
            raise RefusedError(404, "there is no such file")
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return web.Response(body=path.read_bytes(), content_type=kind, charset=_CHARSETS.get(kind))

    async def open_page(request: web.Request) -> web.StreamResponse:
        if tickets is None or not tickets.take(request):
            raise RefusedError(403, "this address was good once", "open the one that openrtc has printed")
        return web.Response(status=303, headers={"Location": f"/?key={playground.key}"})

    async def answer_agents(_: web.Request) -> web.StreamResponse:
        found = await asyncio.to_thread(list_agents, installed, connection)
        return web.json_response({**found, "chosen": playground.agent})

    async def answer_token(request: web.Request) -> web.StreamResponse:
        asked = await _read(request)
        agent, text = _take(asked, "agent", str, ""), _take(asked, "text", bool, False)
        if "name" in asked:
            name = _take(asked, "name", str, "").strip()
            if "," in name or name == PER_AGENT:
                raise RefusedError(400, f"{name!r} is no name of a worker")
            return web.json_response(create_call_token(connection, "", text=text, dispatch_name=name))
        if not (agent or connection.names.own):
            raise RefusedError(
                400, "which agent? the workers are registered under their agents' names only", "name one"
            )
        if agent:
            _require_ready(agent, await asyncio.to_thread(list_agents, installed, connection))
        return web.json_response(create_call_token(connection, agent, text=text))

    async def answer_watch(request: web.Request) -> web.StreamResponse:
        room = _take(await _read(request), "room", str, "")
        if not room:
            raise RefusedError(400, "which room?")
        return web.json_response(create_watch_token(connection, room))

    async def answer_calls(_: web.Request) -> web.StreamResponse:
        return web.json_response(await list_calls(connection))

    @web.middleware
    async def tell_errors(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
        except OpenRTCError as error:
            return tell_error(http.HTTPStatus.BAD_GATEWAY, one_line(error.message), one_line(error.fix or ""))
        return answer

    guard = build_guard(lambda: playground.port, playground.key, build_headers(connection.address))
    app = web.Application(middlewares=[guard, tell_errors], client_max_size=LARGEST_BODY)
    app.add_routes(
        [
            web.get("/", show_page),
            web.get("/open/{ticket}", open_page),
            web.get("/api/agents", answer_agents),
            web.get("/api/calls", answer_calls),
            web.post("/api/token", answer_token),
            web.post("/api/watch", answer_watch),
            web.get("/{name:.+}", show_page),
        ]
    )
    return app


_CHARSETS = {"text/html": "utf-8", "text/css": "utf-8", "text/javascript": "utf-8", "text/plain": "utf-8"}


async def _read(request: web.Request) -> Mapping[str, Any]:
    if request.content_type != "application/json":
        raise RefusedError(415, "the body is no JSON")
    try:
        asked = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise RefusedError(400, "the body is no JSON") from None
    if not isinstance(asked, dict):
        raise RefusedError(400, "the body is no JSON object")
    return asked


def _take(asked: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    value = asked.get(name, default)
    if not isinstance(value, kind) or (isinstance(value, str) and len(value) > LONGEST_NAME):
        raise RefusedError(400, f"{name} is no {'short text' if kind is str else 'true or false'}")
    return value


def _require_ready(agent: str, there: Mapping[str, Any]) -> None:
    """Refuse an agent that cannot come; one that nobody knows here may be known to a worker elsewhere."""
    found = {one["name"]: one for one in there["agents"]}
    if agent not in found and there["worker"]["found"]:
        raise RefusedError(404, f'there is no agent "{one_line(agent)}"', did_you_mean(agent, found, "reload the page"))
    if agent in found and not found[agent]["ready"]:
        raise RefusedError(409, f'agent "{agent}" cannot come: {found[agent]["reason"]}', found[agent]["fix"])
