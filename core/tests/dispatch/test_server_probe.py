from __future__ import annotations

import email.utils
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from openrtc.dispatch.server_probe import Problem, ServerAnswer, probe_server

SECRET = "a-secret-of-thirty-two-characters"
TOKEN_TOO_EARLY = "invalid token: e30.e30.e30, error: validation failed, token not valid yet (nbf)"


@asynccontextmanager
async def serve(status: int, text: str, headers: dict[str, str] | None = None) -> AsyncIterator[str]:
    """Run a server that answers each request of LiveKit's API so; yields its address."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers=headers)

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="OK", headers=headers)

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_post("/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).replace("http", "ws", 1)


async def ask(status: int, text: str, headers: dict[str, str] | None = None, *, key: str = "key") -> ServerAnswer:
    async with serve(status, text, headers) as url:
        return await probe_server(url, key, SECRET if key else "")


@pytest.mark.parametrize(
    ("status", "text", "problem"),
    [
        (401, "invalid API key: key", Problem.KEY),
        (401, "invalid token: e30.e30.e30, error: go-jose/go-jose: error in cryptographic primitive", Problem.SECRET),
        (401, TOKEN_TOO_EARLY, Problem.TIME),
        (401, json.dumps({"code": "unauthenticated", "msg": "permissions denied"}), Problem.REFUSED),
        (404, "<html>not found</html>", Problem.OTHER_SERVER),
        (200, "<html>welcome</html>", Problem.OTHER_SERVER),
        (404, json.dumps({"code": "bad_route", "msg": "no handler"}), Problem.OTHER_SERVER),
        (503, json.dumps({"code": "unavailable", "msg": "no response from servers"}), Problem.UNHEALTHY),
        (400, "Client sent an HTTP request to an HTTPS server.", Problem.REDIRECT),
        (200, "{}", Problem.NO_AGENTS),  # nobody answers the worker
    ],
)
async def test_each_refusal_is_told_apart(status: int, text: str, problem: Problem) -> None:
    answer = await ask(status, text)
    assert answer.problem is problem
    assert SECRET not in repr(answer) and "e30" not in repr(answer)


async def test_without_a_key_a_livekit_server_is_known_by_how_it_refuses() -> None:
    answer = await ask(401, json.dumps({"code": "unauthenticated", "msg": "permissions denied"}), key="")
    assert answer.problem is None
    assert (await ask(404, "nothing", key="")).problem is Problem.OTHER_SERVER


@pytest.mark.parametrize("seconds", [0.0, -3600.0, 90.0])
async def test_the_date_of_an_answer_tells_how_far_the_clock_is_off(seconds: float) -> None:
    date = email.utils.formatdate(time.time() - seconds, usegmt=True)
    answer = await ask(401, "invalid API key: key", {"Date": date})
    assert answer.ahead == pytest.approx(seconds, abs=20)


async def test_a_date_that_is_none_tells_no_time() -> None:
    assert (await ask(401, "invalid API key: key", {"Date": "yesterday"})).ahead is None


async def test_tls_where_there_is_none_is_told_apart_from_nobody_there() -> None:
    async with serve(200, "{}") as url:
        plain = await probe_server(url.replace("ws://", "wss://"), "key", SECRET)
    gone = await probe_server(url, "key", SECRET)
    assert (plain.problem, gone.problem) == (Problem.TLS, Problem.UNREACHABLE)
    assert gone.detail == "Connection refused"


@pytest.mark.parametrize("url", ["ws://127.0.0.1:99999", "ws://[::1", "ws://a..b:1"])
async def test_what_is_no_address_raises_nothing(url: str) -> None:
    assert (await probe_server(url)).problem in (Problem.NO_ADDRESS, Problem.UNREACHABLE)


async def test_a_redirect_is_told_without_its_login() -> None:
    async def send_on(_: web.Request) -> web.Response:
        raise web.HTTPFound("https://user:password@elsewhere.example/")

    app = web.Application()
    app.router.add_get("/", send_on)
    async with TestServer(app) as server:
        answer = await probe_server(str(server.make_url("")))
    assert (answer.problem, answer.detail) == (Problem.REDIRECT, "https://elsewhere.example")
