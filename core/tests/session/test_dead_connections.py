"""Connections to the LiveKit server end when nothing is acknowledged, and no other connection of the process does."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from livekit import rtc

from openrtc.session import dead_connections
from openrtc.session.dead_connections import end_dead_connections, limit_silence_of_server
from waiting import wait_until

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux can limit the silence")


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    """Two servers on this machine."""
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield opened
    for one in opened:
        one.close()


def connect(listener: socket.socket, family: int = socket.AF_INET) -> socket.socket:
    connection = socket.socket(family)
    host = "127.0.0.1" if family == socket.AF_INET else "::ffff:127.0.0.1"
    connection.connect((host, port_of(listener)))
    return connection


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def limit_of(connection: socket.socket) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_what_is_connected_to_the_server_is_limited_and_nothing_else(
    listeners: list[socket.socket], family: int
) -> None:
    server, other = listeners
    with connect(server, family) as ours, connect(other) as others, socket.socket() as unconnected:
        limit_silence_of_server(f"ws://localhost:{port_of(server)}", seconds=7.5)
        assert limit_of(ours) == 7500
        assert limit_of(others) == limit_of(unconnected) == 0
        ours.sendall(b"still open")


@pytest.mark.parametrize("url", ["ws://name.invalid:1", "wss://name.invalid", "ws://"])
def test_a_server_that_is_not_found_is_no_error(url: str) -> None:
    limit_silence_of_server(url)


async def test_a_connection_is_limited_at_first_and_after_each_reconnect(listeners: list[socket.socket]) -> None:
    server, room = listeners[0], rtc.Room()
    expected = round(dead_connections.SILENT_SECONDS * 1000)
    for _ in range(2):
        with connect(server) as ours:
            end_dead_connections(room, f"ws://127.0.0.1:{port_of(server)}")
            await wait_until(lambda: limit_of(ours) == expected)
    with connect(server) as again:
        room.emit("reconnected")
        await wait_until(lambda: limit_of(again) == expected)


async def test_a_system_that_cannot_limit_it_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    limiting: set[object] = set()  # another test's may still be there
    monkeypatch.setattr(dead_connections, "_limiting", limiting)
    room = rtc.Room()
    end_dead_connections(room, "ws://127.0.0.1:1")
    room.emit("reconnected")
    assert not limiting
