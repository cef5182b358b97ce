"""Calls share connections that are free, and nothing else: what a call has in use is closed with it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from livekit.agents.utils import http_context

from openrtc.speedups import connections
from openrtc.upstream.digest import find_changes


class Provider:
    """An HTTP server that counts the connections to it."""

    def __init__(self) -> None:
        self.url = ""
        self.connections: set[Any] = set()
        self.closed = asyncio.Event()

    async def speak(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport)
        return web.Response(text=request.cookies.get("call", ""))

    async def endless(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport)
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x" * 1000)
                await asyncio.sleep(0.01)
        finally:
            self.closed.set()

    async def socket(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            await socket.send_str("heard")
        self.closed.set()
        return socket


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    here = Provider()
    app = web.Application()
    app.router.add_get("/speak", here.speak)
    app.router.add_get("/endless", here.endless)
    app.router.add_get("/socket", here.socket)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield here
    await runner.cleanup()


@pytest.fixture
async def shared() -> AsyncIterator[None]:
    connections.install()
    connections.open_connections()
    yield
    await connections.close_connections()
    connections.uninstall()


@pytest.fixture(autouse=True)
def _upstream_again() -> Iterator[None]:
    yield
    connections.uninstall()


async def call(use: Callable[[aiohttp.ClientSession], Awaitable[Any]]) -> Any:
    """Use the session of a call of its own, as livekit-agents opens and closes it."""

    async def run() -> Any:
        http_context._new_session_ctx()
        try:
            return await use(http_context.http_session())
        finally:
            await http_context._close_http_ctx()

    return await asyncio.create_task(run(), context=contextvars.Context())


def speak(provider: Provider) -> Callable[[aiohttp.ClientSession], Awaitable[str]]:
    async def use(session: aiohttp.ClientSession) -> str:
        assert session is http_context.http_session()
        async with session.get(f"{provider.url}/speak") as answer:
            return await answer.text()

    return use


def test_it_knows_this_livekit_agents() -> None:
    assert find_changes("connections") == {}


async def test_without_it_each_call_connects(provider: Provider) -> None:
    for _ in range(3):
        await call(speak(provider))
    assert len(provider.connections) == 3


@pytest.mark.usefixtures("shared")
async def test_calls_in_turn_share_a_connection_and_calls_at_once_do_not(provider: Provider) -> None:
    for _ in range(3):
        await call(speak(provider))
    assert len(provider.connections) == 1
    await asyncio.gather(*(call(speak(provider)) for _ in range(3)))
    assert len(provider.connections) == 3


@pytest.mark.usefixtures("shared")
async def test_cookies_are_a_calls_own(provider: Provider) -> None:
    async def with_cookie(session: aiohttp.ClientSession) -> str:
        session.cookie_jar.update_cookies({"call": "first"})
        return await speak(provider)(session)

    async def allow_addresses(session: aiohttp.ClientSession) -> str:
        session.cookie_jar._unsafe = True  # type: ignore[attr-defined]
        return await with_cookie(session)

    assert await call(allow_addresses) == "first"
    assert await call(speak(provider)) == ""


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("path", ["socket", "endless"])
async def test_what_a_call_leaves_open_is_closed_with_it(provider: Provider, path: str) -> None:
    kept: list[Any] = []

    async def leave_open(session: aiohttp.ClientSession) -> None:
        if path == "socket":
            kept.append(await session.ws_connect(f"{provider.url}/socket"))
            await kept[0].send_str("hello")
            assert (await kept[0].receive()).data == "heard"
        else:
            kept.append(await session.get(f"{provider.url}/endless"))
            await kept[0].content.readany()

    await call(leave_open)
    await asyncio.wait_for(provider.closed.wait(), 60.0)
    if path == "socket":
        assert (await asyncio.wait_for(kept[0].receive(), 60.0)).type in (WSMsgType.CLOSED, WSMsgType.ERROR)
    await call(speak(provider))
    assert len(provider.connections) == 2, "it was not given to the next call"


@pytest.mark.usefixtures("shared")
async def test_a_call_that_is_over_gets_no_connection(provider: Provider) -> None:
    sessions: list[aiohttp.ClientSession] = []

    async def keep(session: aiohttp.ClientSession) -> None:
        sessions.append(session)

    await call(keep)
    with pytest.raises(RuntimeError, match="Session is closed"):
        await sessions[0].get(f"{provider.url}/speak")


@pytest.mark.usefixtures("shared")
async def test_one_that_ends_while_it_connects_gets_none_either(provider: Provider) -> None:
    requests: list[asyncio.Task[Any]] = []

    async def begin(session: aiohttp.ClientSession) -> None:
        requests.append(asyncio.create_task(session.get(f"{provider.url}/speak")))
        await asyncio.sleep(0)

    await call(begin)
    with pytest.raises((aiohttp.ClientError, RuntimeError, AttributeError)):
        await requests[0]


@pytest.mark.usefixtures("shared")
async def test_a_closed_session_is_followed_by_another(provider: Provider) -> None:
    async def close_and_go_on(session: aiohttp.ClientSession) -> str:
        await session.close()
        return await speak(provider)(http_context.http_session())

    await call(close_and_go_on)
    assert len(provider.connections) == 1


@pytest.mark.usefixtures("shared")
async def test_another_loop_has_connections_of_its_own(provider: Provider) -> None:
    await call(speak(provider))
    await asyncio.to_thread(asyncio.run, call(speak(provider)))
    assert len(provider.connections) == 2
