"""The health server, asked by clients of every kind: good, slow, wrong, and many."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp import web

from openrtc import posix
from openrtc.observe.health import connections, requests
from openrtc.observe.health.connections import KEPT_DESCRIPTORS, MOST_CONNECTIONS
from openrtc.observe.health.server import HealthServer

HOST = b"Host: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CLOSE = b"Connection: close\r\n"
PATIENCE = 30.0


async def ready(_: web.Request) -> web.Response:
    return web.json_response({"ready": True})


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def fail(_: web.Request) -> web.Response:
    raise ValueError("no such thing")


async def hang(_: web.Request) -> web.Response:
    await asyncio.sleep(PATIENCE)
    return web.Response()


async def send_much(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * 30_000_000)


ROUTES = [
    web.get("/ready", ready),
    web.post("/echo", echo),
    web.get("/fail", fail),
    web.get("/hang", hang),
    web.get("/much", send_much),
]


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.5)
    monkeypatch.setattr(requests, "MAKE_ANSWER_SECONDS", 0.5)


@pytest.fixture
def server(caplog: pytest.LogCaptureFixture) -> Iterator[HealthServer]:
    caplog.set_level(logging.INFO)
    with HealthServer("127.0.0.1", 0, ROUTES) as one:
        yield one
    assert not any(thread.name == "health" for thread in threading.enumerate())


def connect(server: HealthServer) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port))
    client.settimeout(PATIENCE)
    return client


def send(server: HealthServer, data: bytes) -> bytes:
    """Send some bytes, and return all that comes until the server ends the connection."""
    with connect(server) as client:
        with contextlib.suppress(ConnectionError):  # it has heard enough
            client.sendall(data)
        return receive_all(client)


def receive_all(client: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


def read_status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1."), answer[:200]
    return int(answer.split()[1])


def get(server: HealthServer, path: str = "/ready") -> int:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    with contextlib.closing(client):
        client.request("GET", path)
        return client.getresponse().status


def wait_for_status(ask: Callable[[], int], wanted: int) -> None:
    until = time.monotonic() + PATIENCE
    while (status := ask()) != wanted:
        assert time.monotonic() < until, status
        time.sleep(0.02)


ANSWERS = {
    "plain": (b"GET /ready HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 200),
    "HTTP/1.0 without a host": (b"GET /ready HTTP/1.0\r\n\r\n", 200),
    "HEAD": (b"HEAD /ready HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 200),
    "no host": (b"GET /ready HTTP/1.1\r\n" + CLOSE + b"\r\n", 400),
    "empty host": (b"GET /ready HTTP/1.1\r\nHost:\r\n\r\n", 403),
    "two hosts": (b"GET /ready HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n", 400),
    "another host": (b"GET /ready HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
    "another host in HTTP/1.0": (b"GET /ready HTTP/1.0\r\nHost: evil.example\r\n\r\n", 403),
    "a URL of another host": (b"GET http://evil.example/ready HTTP/1.1\r\n" + HOST + b"\r\n", 403),
    "IPv6": (b"GET /ready HTTP/1.1\r\nHost: [::1]:99\r\n" + CLOSE + b"\r\n", 200),
    "another path": (b"GET /nothing HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 404),
    "another method": (b"DELETE /ready HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 405),
    "a method that nobody knows": (b"FETCH /ready HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a path that is no UTF-8": (b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an escaped path that is no UTF-8": (b"GET /%ff%fe HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 404),
    "a path with a null": (b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a path that is no URL": (b"GET http://a:99999999/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "CONNECT": (b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n", 403),
    "TLS": (bytes.fromhex("16030100a5010000a10303"), 400),
    "noise": (b"\0\1\2\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a long header": (b"GET /ready HTTP/1.1\r\nX: " + b"a" * 100_000_000, 400),
    "many headers": (b"GET /ready HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 100_000 + b"\r\n", 400),
    "a long path": (b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a body": (b"POST /echo HTTP/1.1\r\n" + HOST + CLOSE + b"Content-Length: 2\r\n\r\nab", 200),
    "a body for nobody": (b"GET /ready HTTP/1.1\r\n" + HOST + CLOSE + b"Content-Length: 2\r\n\r\nab", 200),
    "a huge body": (b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 10000000000\r\n\r\nab", 413),
    "a huge body in chunks": (
        b"POST /echo HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n200000\r\n" + b"x" * (1 << 21) + b"\r\n",
        413,
    ),
    "a broken chunk": (b"POST /echo HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nzz\r\n", 400),
    "a length below zero": (b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
    "two lengths": (
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
        400,
    ),
    "another expectation": (b"POST /echo HTTP/1.1\r\n" + HOST + b"Expect: tea\r\n" + CLOSE + b"\r\n", 417),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_each_kind_of_request_is_answered_and_is_no_line_of_the_log(
    server: HealthServer, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    data, status = ANSWERS[kind]
    assert read_status(send(server, data)) == status
    assert get(server) == 200
    assert caplog.messages == []


def test_a_server_that_others_reach_answers_for_every_host() -> None:
    with HealthServer("0.0.0.0", 0, ROUTES) as server:
        for line in (b"Host: evil.example\r\n", b"Host: 10.1.2.3:8081\r\n"):
            assert read_status(send(server, b"GET /ready HTTP/1.1\r\n" + line + CLOSE + b"\r\n")) == 200


@pytest.mark.usefixtures("short_limits")
def test_requests_in_one_connection_are_answered_one_after_the_other(server: HealthServer) -> None:
    many = 200
    answers = send(server, (b"GET /ready HTTP/1.1\r\n" + HOST + b"\r\n") * many)
    assert answers.count(b"HTTP/1.1 200 OK") == many


@pytest.mark.usefixtures("short_limits")
def test_a_connection_is_kept_for_the_next_request_and_not_for_long(server: HealthServer) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    for _ in range(3):
        client.request("GET", "/ready")
        assert client.getresponse().read() == b'{"ready": true}'
    assert client.sock.recv(1) == b"", "it is closed without a word"
    client.close()


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /ready HTTP/1.1\r\nHost: loc", 408),
        (b"GET /ready\r\n", 408),
        (b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nab", 408),
        (b"GET /hang HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n", 503),
    ],
)
def test_what_does_not_come_in_time_is_not_waited_for(server: HealthServer, data: bytes, status: int) -> None:
    assert read_status(send(server, data)) == status


@pytest.mark.usefixtures("short_limits")
def test_who_says_nothing_is_let_go(server: HealthServer) -> None:
    assert send(server, b"") == b""


@pytest.mark.usefixtures("short_limits")
def test_a_head_that_drips_is_not_waited_for(server: HealthServer) -> None:
    def drip(client: socket.socket) -> None:
        for _ in range(int(PATIENCE / 0.05)):
            client.sendall(b"X")
            time.sleep(0.05)

    with connect(server) as client, pytest.raises(ConnectionError):
        drip(client)


@pytest.mark.usefixtures("short_limits")
def test_an_answer_that_is_not_read_is_dropped(server: HealthServer) -> None:
    with connect(server) as client:
        client.sendall(b"GET /much HTTP/1.1\r\n" + HOST + b"\r\n")
        until = time.monotonic() + PATIENCE
        while not server._connections._open and time.monotonic() < until:
            time.sleep(0.01)
        while server._connections._open and time.monotonic() < until:
            time.sleep(0.01)
        assert not server._connections._open
        assert len(receive_all(client)) < 30_000_000


def test_who_sends_nothing_more_gets_the_answer(server: HealthServer) -> None:
    with connect(server) as client:
        client.sendall(b"GET /ready HTTP/1.1\r\n" + HOST + b"\r\n")
        client.shutdown(socket.SHUT_WR)
        assert read_status(receive_all(client)) == 200


def test_a_route_that_fails_is_one_line(server: HealthServer, caplog: pytest.LogCaptureFixture) -> None:
    answer = send(server, b"GET /fail HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
    assert read_status(answer) == 500 and b"no such thing" not in answer
    assert caplog.messages == ["GET /fail fails: ValueError: no such thing"]
    assert not caplog.records[0].exc_info


def test_one_connection_too_many_is_answered_at_once_and_a_good_request_soon(
    server: HealthServer, caplog: pytest.LogCaptureFixture
) -> None:
    halves = [connect(server) for _ in range(400)]
    for half in halves:
        with contextlib.suppress(ConnectionError):  # those that are closed already
            half.sendall(b"GET /ready HTTP/1.1\r\nHost: loc")
    assert get(server) == 503
    assert len(server._connections._open) == MOST_CONNECTIONS
    wait_for_status(lambda: get(server), 200)
    for half in halves:
        half.close()
    assert set(caplog.messages) == {f"the health server answers 503: it has {MOST_CONNECTIONS} connections"}


def test_one_that_waits_for_its_next_request_makes_room(server: HealthServer) -> None:
    clients = []
    for _ in range(MOST_CONNECTIONS):
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        client.request("GET", "/ready")
        assert client.getresponse().read()
        clients.append(client)
    assert [get(server) for _ in range(10)] == [200] * 10
    for client in clients:
        client.close()


def test_the_last_descriptors_are_for_calls(server: HealthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    free: list[int | None] = [KEPT_DESCRIPTORS - 1]
    monkeypatch.setattr(connections, "count_free_descriptors", lambda: free[0])
    wait_for_status(lambda: get(server), 503)
    free[0] = None  # a system without a limit
    wait_for_status(lambda: get(server), 200)


def test_what_cannot_be_accepted_is_tried_again_and_told_once(
    server: HealthServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Exhausted:
        tried = 0

        def __init__(self, listener: socket.socket) -> None:
            self._listener = listener

        def accept(self) -> Any:
            Exhausted.tried += 1
            if Exhausted.tried > 2:
                return self._listener.accept()
            raise OSError(errno.EMFILE, "Too many open files")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._listener, name)

    def exhaust() -> None:
        one = server._connections
        loop, (listener,) = server._loop, server._listeners
        loop.remove_reader(listener)
        one._listen(Exhausted(listener))  # type: ignore[arg-type]

    monkeypatch.setattr(connections, "EXHAUSTED_SECONDS", 0.05)
    server._loop.call_soon_threadsafe(exhaust)
    assert get(server) == 200
    assert caplog.messages == ["the health server cannot accept a connection: Too many open files"] * 2


def test_the_routes_can_be_changed_while_it_answers(server: HealthServer) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    client.request("GET", "/ready")
    assert client.getresponse().read()
    assert get(server, "/new") == 404
    server.serve([web.get("/new", ready)]).result(PATIENCE)
    assert (get(server, "/new"), get(server, "/ready")) == (200, 404)
    client.close()


def test_it_ends_while_a_request_is_being_answered(server: HealthServer) -> None:
    with connect(server) as client:
        client.sendall(b"GET /hang HTTP/1.1\r\n" + HOST + b"\r\n")
        wait_for_status(lambda: get(server), 200)
        server.close()
        assert receive_all(client) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(server)


def test_the_descriptors_that_are_free_are_counted() -> None:
    free = posix.count_free_descriptors()
    if free is None:
        pytest.skip("this system has no limit")
    with socket.socket(), socket.socket():
        assert posix.count_free_descriptors() == free - 2


async def slow(_: web.Request) -> web.Response:
    await asyncio.sleep(0.2)
    return web.Response(text="late")


def test_who_leaves_its_port_answers_what_it_has_accepted_and_another_one_what_comes_then() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    later = listener.dup()
    routes = [web.get("/slow", slow)]
    with (
        HealthServer("", 0, routes, listeners=[listener]) as old,
        HealthServer("", 0, [*ROUTES], listeners=[later], answers=False) as new,
    ):
        asked, idle = connect(old), connect(old)
        idle.sendall(b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_status(idle.recv(65536)) == 404
        asked.sendall(b"GET /slow HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
        time.sleep(0.05)
        left = old.leave()
        wait_for_status(listener.fileno, -1)  # what it has accepted until then, it answers
        with connect(new) as further:
            further.sendall(b"GET /ready HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
            new.answer()
            new.answer()
            assert receive_all(further).endswith(b'{"ready": true}')
        assert receive_all(asked).endswith(b"late")
        assert receive_all(idle) == b"", "one that waits for its next request is closed"
        left.result(PATIENCE)
        for one in (asked, idle):
            one.close()
