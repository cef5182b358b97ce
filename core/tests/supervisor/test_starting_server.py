"""What the supervisor answers on the workers' health ports while there are no workers yet."""

from __future__ import annotations

import asyncio
import json
import os
import socket

import pytest
from aiohttp import web

from openrtc.errors import OpenRTCError
from openrtc.observe.health.server import HealthServer
from openrtc.server.settings import find_free_port
from openrtc.supervisor import starting_server
from openrtc.supervisor.starting_server import StartingServer


async def ask(port: int, request: str) -> tuple[str, str]:
    """Return the first line and the body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return head.partition("\r\n")[0], body


async def test_every_worker_s_port_says_that_it_starts_and_what_it_waits_for() -> None:
    told = [""]
    first = find_free_port(socket.SOCK_STREAM)
    server = StartingServer("127.0.0.1", first, 1, lambda: told[0])
    server.open()
    busy = "HTTP/1.1 503 Service Unavailable"
    try:
        status, body = await ask(first, f"GET /ready HTTP/1.1\r\nHost: localhost:{first}\r\n\r\n")
        assert (status, json.loads(body)["reason"], json.loads(body)["ready"]) == (busy, "starting", False)
        told[0] = "my-agent 1.0: its import has been running for 5 s"
        _, body = await ask(first, "GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert json.loads(body)["reason"] == f"starting: {told[0]}"
        assert await ask(first, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") == (busy, "starting\n")
        status, _ = await ask(first, "GET /ready HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert status == "HTTP/1.1 403 Forbidden"
    finally:
        server.close()
    with pytest.raises(ConnectionRefusedError):
        await ask(first, "GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize("request_text", ["GET / HT", "x" * 10_000, ""])
async def test_what_is_no_request_gets_no_answer(monkeypatch: pytest.MonkeyPatch, request_text: str) -> None:
    monkeypatch.setattr(starting_server, "STARTING_ANSWER_SECONDS", 0.1)
    port = find_free_port(socket.SOCK_STREAM)
    server = StartingServer("127.0.0.1", port, 1, lambda: "")
    server.open()
    try:
        assert await ask(port, request_text) == ("", "")
    finally:
        server.close()


async def test_without_a_port_nothing_is_answered_and_a_taken_one_is_an_error() -> None:
    without = StartingServer("127.0.0.1", 0, 3, lambda: "")
    without.open()
    without.leave(1)
    assert (without.doors, without.describe(1)) == ((), "")
    port = find_free_port(socket.SOCK_STREAM)
    server = StartingServer("127.0.0.1", port, 1, lambda: "")
    server.open()
    try:
        with pytest.raises(OpenRTCError, match="cannot listen"):
            StartingServer("127.0.0.1", port, 1, lambda: "").open()
    finally:
        server.close()


async def test_a_worker_takes_the_port_and_gives_it_back_without_a_refused_connection() -> None:
    server = StartingServer("127.0.0.1", 0, 1, lambda: "")
    server._ports = range(1)  # one that nobody else has
    server.open()
    ((door,),) = server.doors
    port = socket.socket(fileno=os.dup(door)).getsockname()[1]
    request = f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
    assert (await ask(port, request))[1] == "starting\n"
    server.leave(0)
    waiting = asyncio.create_task(ask(port, request))
    await asyncio.sleep(0.2)
    assert not waiting.done(), "it waits for whoever accepts it"
    with HealthServer("", 0, [web.get("/", worker_answer)], listeners=[socket.socket(fileno=os.dup(door))]):
        assert (await waiting)[1] == "of the worker"
    server.reason = "draining"
    server.answer(0)
    server.answer(0)
    assert (await ask(port, request))[1] == "draining\n"
    server.close()
    with pytest.raises(ConnectionRefusedError):
        await ask(port, request)


async def worker_answer(_: web.Request) -> web.Response:
    response = web.Response(text="of the worker")
    response.force_close()
    return response
