"""It is known which rooms a call joins, and to join one may be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc

from openrtc.session import joined_rooms
from openrtc.session.joined_rooms import begin_noting_rooms, end_noting_rooms, leave_rooms_at_end, watch_joined_rooms
from openrtc.session.room_connect import wait_until_left


class Connections:
    """What the native library would do."""

    def __init__(self) -> None:
        self.allowed = asyncio.Event()
        self.connected: set[int] = set()
        self.cancelled = False

    async def connect(self, room: rtc.Room, url: str, token: str, options: Any = None) -> None:
        try:
            await self.allowed.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        self.connected.add(id(room))

    async def disconnect(self, room: rtc.Room) -> None:
        self.connected.discard(id(room))


@pytest.fixture
async def native(monkeypatch: pytest.MonkeyPatch) -> Connections:
    """Livekit's rooms without a server, in a call."""
    native = Connections()

    async def connect(self: rtc.Room, url: str, token: str, options: Any = None) -> None:
        await native.connect(self, url, token, options)

    async def disconnect(self: rtc.Room) -> None:
        await native.disconnect(self)

    monkeypatch.setattr(rtc.Room, "connect", connect)
    monkeypatch.setattr(rtc.Room, "disconnect", disconnect)
    monkeypatch.setattr(rtc.Room, "isconnected", lambda self: id(self) in native.connected)
    context = SimpleNamespace(job=SimpleNamespace(id="j"))
    monkeypatch.setattr(joined_rooms, "get_job_context", lambda required: context)
    watch_joined_rooms()
    watch_joined_rooms()
    return native


async def test_the_rooms_are_known_that_a_call_has_joined_and_not_left(native: Connections) -> None:
    native.allowed.set()
    begin_noting_rooms("j")
    rooms = [rtc.Room() for _ in range(3)]
    for room in rooms:
        await room.connect("ws://x", "token")
    await rooms[1].disconnect()
    await rooms[1].connect("ws://x", "token")
    await rooms[2].disconnect()
    assert end_noting_rooms("j") == rooms[:2]
    assert end_noting_rooms("j") == []
    await rtc.Room().connect("ws://x", "token")  # of a shared client, after the call that made it
    assert end_noting_rooms("j") == []


async def test_to_join_may_be_cancelled(native: Connections) -> None:
    begin_noting_rooms("j")
    room = rtc.Room()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(room.connect("ws://x", "token"), 0.01)
    native.allowed.set()
    await wait_until_left(5.0)
    end_noting_rooms("j")
    assert not native.cancelled, "livekit's library would end the process"
    assert not native.connected, "the room is left"


class JoinedRoom:
    def __init__(self) -> None:
        self.connected = True

    def isconnected(self) -> bool:
        return self.connected

    async def disconnect(self) -> None:
        self.connected = False
        raise RuntimeError("a room that cannot be left keeps no other one")


async def end(callback: Callable[[str], Awaitable[None]]) -> None:
    await callback("over")


def hold(rooms: list[Any], callbacks: list[Callable[[str], Awaitable[None]]]) -> None:
    context: Any = SimpleNamespace(job=SimpleNamespace(id="AJ_1"), add_shutdown_callback=callbacks.append)
    leave_rooms_at_end(context)
    if callbacks:
        joined_rooms._rooms["AJ_1"].extend(rooms)
        asyncio.run(end(callbacks[0]))


def test_a_call_with_a_thread_of_its_own_leaves_its_rooms_at_the_end() -> None:
    rooms, callbacks = [JoinedRoom(), JoinedRoom()], list[Callable[[str], Awaitable[None]]]()
    asyncio.run(asyncio.to_thread(hold, rooms, callbacks))
    assert [room.connected for room in rooms] == [False, False]
    assert "AJ_1" not in joined_rooms._rooms


def test_the_rooms_of_a_call_of_the_shared_loop_are_left_by_leftovers() -> None:
    callbacks = list[Callable[[str], Awaitable[None]]]()
    hold([], callbacks)
    assert not callbacks
