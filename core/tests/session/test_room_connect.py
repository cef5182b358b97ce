"""A connect and a disconnect go on when nobody waits for them any more, and a disconnect is not waited for for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc

from openrtc.session import room_connect, room_sockets
from openrtc.session.room_connect import (
    RoomGone,
    leave_promptly,
    shield_connect,
    shield_publishing,
    wait_until_joined,
    wait_until_left,
)
from openrtc.settings.config import WorkerSettings


class Room(rtc.EventEmitter[str]):
    """Takes a given time to join and to leave, and an hour to publish something."""

    def __init__(
        self, connects: float = 0.0, disconnects: float = 0.0, gone: bool = False, fails_first: str = ""
    ) -> None:
        super().__init__()
        self.name = "r"
        self.did: list[str] = []
        self.options = rtc.RoomOptions()
        self.remote_participants = {"caller": SimpleNamespace()}
        self.local_participant: Any = SimpleNamespace(
            identity="agent", track_publications={}, publish_track=self.publish
        )
        self.published = asyncio.Event()

        async def connect(url: str, token: str, options: rtc.RoomOptions) -> None:
            self.options = options
            await asyncio.sleep(connects)
            if fails_first and not self.did:
                self.did.append("failed")
                raise rtc.ConnectError(fails_first)
            self.did.append("connected")

        async def disconnect() -> None:
            await asyncio.sleep(disconnects)
            self.did.append("left")
            self.emit("disconnected", 0)

        async def is_gone() -> bool:
            return gone

        self.connect, self.disconnect = connect, disconnect
        room: Any = self
        shield_connect(room, "", lambda: None, lambda: shield_publishing(room), is_gone=is_gone)

    async def join(self, **options: Any) -> None:
        await self.connect("ws://127.0.0.1:1", "token", **options)

    async def publish(self, track: str) -> str:
        await self.published.wait()
        self.local_participant.track_publications[track] = "published"
        self.emit("local_track_published")
        return track


@pytest.mark.parametrize(("what", "did"), [("join", ["connected", "left"]), ("disconnect", ["left"])])
async def test_one_that_is_cancelled_goes_on_and_the_room_is_left(what: str, did: list[str]) -> None:
    room = Room(connects=0.1, disconnects=0.1)
    running: asyncio.Task[Any] = asyncio.create_task(getattr(room, what)())
    await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait({running})
    await wait_until_left(60.0)
    assert room.did == did


@pytest.mark.parametrize(
    ("error", "did"),
    [("engine: signal failure: transport timed out", ["failed", "connected"]), ("invalid token", ["failed"])],
)
async def test_one_that_the_server_did_not_answer_in_time_is_tried_once_more(error: str, did: list[str]) -> None:
    room = Room(fails_first=error)
    with contextlib.nullcontext() if "connected" in did else pytest.raises(rtc.ConnectError):
        await room.join()
    assert room.did == did
    assert await wait_until_joined(room) == ("connected" in did)  # type: ignore[arg-type]  # it stands for a room


async def test_a_room_that_is_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_connect, "GONE_SECONDS", 0.02)
    room = Room(connects=0.5, disconnects=0.5, gone=True)
    with pytest.raises(RoomGone, match="deleted while the agent joined"):
        await room.join()
    await room.disconnect()  # as livekit-agents does at the end of the job
    assert room.did == []
    await wait_until_left(60.0)
    assert "connected" in room.did and room.did[-1] == "left"


async def test_a_room_that_connects_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_connect, "GONE_SECONDS", 0.02)
    room = Room(connects=0.2)
    await room.join()
    assert room.did == ["connected"] and await wait_until_joined(room)  # type: ignore[arg-type]


async def test_a_room_gathers_addresses_once_unless_the_agent_says_otherwise() -> None:
    room, own = Room(), rtc.RoomOptions(rtc_config=rtc.RtcConfiguration())
    await room.join()
    assert room.options.rtc_config is not None
    assert room.options.rtc_config.continual_gathering_policy == rtc.ContinualGatheringPolicy.GATHER_ONCE
    await room.join(options=own)
    assert room.options is own


async def test_who_is_cancelled_before_it_is_its_turn_never_joins() -> None:
    rooms = [Room(connects=0.2) for _ in range(room_sockets.MOST_JOINS + 1)]
    joining = [asyncio.create_task(room.join()) for room in rooms]
    await asyncio.sleep(0.05)
    joining[-1].cancel()
    await asyncio.wait(joining)
    await wait_until_left(60.0)
    assert [room.did for room in rooms] == [["connected"]] * room_sockets.MOST_JOINS + [[]]
    assert not await wait_until_joined(rooms[-1])  # type: ignore[arg-type]


async def test_a_disconnect_is_waited_for_only_so_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room_connect, "DISCONNECT_SECONDS", 0.05)
    room = Room(disconnects=1.0)
    with caplog.at_level(logging.WARNING, "openrtc.worker"):
        await asyncio.wait_for(room.disconnect(), 0.9)
    assert room.did == [] and "'r' was not left within" in caplog.text
    await wait_until_left(60.0)
    assert room.did == ["left"]


async def test_an_error_of_a_disconnect_is_its_callers() -> None:
    room = Room()

    async def fail() -> None:
        raise RuntimeError("no")

    room.disconnect = fail
    shield_connect(room, "", lambda: None)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="no"):
        await room.disconnect()


async def test_it_is_known_when_a_room_is_joined() -> None:
    room = Room(connects=0.05)
    waiting: Any = asyncio.create_task(wait_until_joined(room))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await room.join()
    assert await waiting
    assert await wait_until_joined(rtc.Room()), "nobody shields it"


async def test_it_is_known_when_a_room_is_not_joined() -> None:
    room = Room(connects=0.05)
    connecting: Any = asyncio.create_task(room.join())
    await asyncio.sleep(0.01)
    connecting.cancel()
    assert not await wait_until_joined(room)  # type: ignore[arg-type]
    await wait_until_left(2.0)


async def test_a_track_is_published_to_its_end_when_nobody_waits_for_it() -> None:
    room = Room()
    await room.join()
    publishing = asyncio.create_task(room.local_participant.publish_track("voice"))
    await asyncio.sleep(0.01)
    publishing.cancel()
    await asyncio.wait({publishing})
    room.published.set()
    await asyncio.sleep(0.01)
    assert publishing.cancelled() and room.local_participant.track_publications == {"voice": "published"}


async def test_a_publication_is_its_callers_and_so_is_its_error() -> None:
    room = Room()
    room.published.set()
    await room.join()
    assert await room.local_participant.publish_track("voice") == "voice"
    with pytest.raises(TypeError, match="unhashable"):
        await room.local_participant.publish_track({})


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The identities that the server was asked to remove."""
    identities: list[str] = []

    async def remove(identity: str, name: str, worker: WorkerSettings) -> None:
        identities.append(identity)

    monkeypatch.setattr(room_connect, "_remove", remove)
    monkeypatch.setattr(room_connect, "PROMPT_SECONDS", 0.1)
    monkeypatch.setattr(room_connect, "FIRST_SOUND_SECONDS", 0.0)
    return identities


def leave_room(room: Room, leave: Any, *, speaks: bool = True) -> None:
    job = SimpleNamespace(room=SimpleNamespace(name=room.name))
    context: Any = SimpleNamespace(is_fake_job=lambda: False, job=job)
    leave_promptly(room, context, WorkerSettings(), leave, speaks=speaks)  # type: ignore[arg-type]


async def test_an_agent_that_joins_is_left_when_its_track_is_there(removed: list[str]) -> None:
    room = Room(connects=0.02)
    leave_room(room, lambda: asyncio.create_task(room.disconnect()))
    await room.join()
    publishing = asyncio.create_task(room.local_participant.publish_track("voice"))
    await asyncio.sleep(0.03)
    assert room.did == ["connected"]
    room.published.set()
    await publishing
    await wait_until_left(2.0)
    assert room.did == ["connected", "left"] and removed == []


@pytest.mark.parametrize("speaks", [True, False])
async def test_an_agent_that_does_not_leave_is_removed(speaks: bool, removed: list[str]) -> None:
    room, left = Room(), asyncio.Event()
    await room.join()
    leave_room(room, left.set, speaks=speaks)
    await asyncio.sleep(0.02)
    assert left.is_set() != speaks, "only a track is waited for"
    await wait_until_left(2.0)
    assert left.is_set() and removed == ["agent"]


async def test_who_has_not_joined_is_not_removed(removed: list[str]) -> None:
    room, left = Room(connects=0.05), asyncio.Event()
    connecting: Any = asyncio.create_task(room.join())
    leave_room(room, left.set)
    await asyncio.sleep(0.01)
    connecting.cancel()
    await wait_until_left(2.0)
    assert left.is_set() and removed == []


async def test_a_room_of_a_thread_whose_loop_has_ended_is_not_waited_for(removed: list[str]) -> None:
    async def fail() -> None:
        room = Room()
        await room.join()
        leave_room(room, lambda: None, speaks=False)

    await asyncio.to_thread(lambda: asyncio.new_event_loop().run_until_complete(fail()))
    async with asyncio.timeout(5.0):
        await wait_until_left(60.0)
    room_connect._leaving.clear()
