"""What the supervisor answers on the workers' health ports while there are no workers yet."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from openrtc.errors import OpenRTCError
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
    await server.open()
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
    await server.open()
    try:
        assert await ask(port, request_text) == ("", "")
    finally:
        server.close()


async def test_without_a_port_nothing_is_answered_and_a_taken_one_is_an_error() -> None:
    await StartingServer("127.0.0.1", 0, 3, lambda: "").open()
    port = find_free_port(socket.SOCK_STREAM)
    server = StartingServer("127.0.0.1", port, 1, lambda: "")
    await server.open()
    other = StartingServer("127.0.0.1", port, 1, lambda: "")
    try:
        with pytest.raises(OpenRTCError, match="cannot listen"):
            await other.open()
        await other.reopen()
    finally:
        server.close()
