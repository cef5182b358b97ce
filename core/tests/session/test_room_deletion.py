"""What a call has published is taken off its room before its own code deletes that."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.api.room_service import RoomService
from livekit.protocol.room import DeleteRoomRequest

from openrtc.session import joined_rooms, room_deletion
from openrtc.session.room_deletion import unpublish_before_deletion


class Room:
    """A room that a call has joined, with two tracks in it; the participant is the room itself."""

    def __init__(self, name: str, *, connected: bool = True) -> None:
        self.name = name
        self.isconnected = lambda: connected
        self.local_participant = self
        self.track_publications = {"TR_1": "voice", "TR_2": "music"}
        self.hangs = self.fails = False

    async def unpublish_track(self, sid: str) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise RuntimeError("no such track")
        del self.track_publications[sid]


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rooms that the server has deleted, asked by the job AJ_1."""
    names: list[str] = []

    async def delete_room(self: RoomService, delete: DeleteRoomRequest) -> None:
        names.append(delete.room)

    monkeypatch.setattr(RoomService, "delete_room", delete_room)
    monkeypatch.setattr(joined_rooms, "_rooms", {"AJ_1": [], "AJ_2": []})
    of_job(monkeypatch, SimpleNamespace(job=SimpleNamespace(id="AJ_1")))
    unpublish_before_deletion()
    unpublish_before_deletion()
    return names


def of_job(monkeypatch: pytest.MonkeyPatch, context: Any) -> None:
    monkeypatch.setattr(room_deletion, "get_job_context", lambda required: context)


def join(job_id: str, room: Room) -> Room:
    joined: Any = room
    joined_rooms._rooms[job_id].append(joined)
    return room


async def delete(name: str) -> None:
    service: Any = object.__new__(RoomService)
    await service.delete_room(DeleteRoomRequest(room=name))


async def test_nothing_of_the_call_is_published_in_a_room_that_it_deletes(deleted: list[str]) -> None:
    own, member = join("AJ_1", Room("r")), join("AJ_1", Room("r"))
    others = [join("AJ_1", Room("other")), join("AJ_1", Room("r", connected=False)), join("AJ_2", Room("r"))]
    await delete("r")
    assert deleted == ["r"]
    assert not own.track_publications and not member.track_publications
    assert all(len(one.track_publications) == 2 for one in others)


async def test_the_room_is_deleted_whatever_becomes_of_what_is_published(
    deleted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_deletion, "UNPUBLISH_SECONDS", 0.05)
    join("AJ_1", Room("fails")).fails = True
    join("AJ_1", Room("hangs")).hangs = True
    for name in ("fails", "hangs", "unknown"):
        await delete(name)
    assert deleted == ["fails", "hangs", "unknown"]


async def test_outside_of_calls_a_room_is_only_deleted(deleted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    of_job(monkeypatch, None)
    room = join("AJ_1", Room("r"))
    await delete("r")
    assert deleted == ["r"] and len(room.track_publications) == 2
