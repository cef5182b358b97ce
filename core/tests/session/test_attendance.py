"""Whether somebody is in a call: when it waits, gives its slot back, rests and ends."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.protocol import models

from openrtc import AgentSpec
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallAttended, CallEnded, CallWaiting, Event
from openrtc.runtime.live_call import LiveCall
from openrtc.session import attendance as module
from openrtc.session.attendance import Attendance, Limits, keep_slot_meanwhile
from openrtc.session.hang_up import HangUp
from openrtc.settings.config import WorkerSettings
from waiting import wait_until

KINDS, REASONS = rtc.ParticipantKind, rtc.DisconnectReason
BROWSER, PHONE, RECORDER = (
    KINDS.PARTICIPANT_KIND_STANDARD,
    KINDS.PARTICIPANT_KIND_SIP,
    KINDS.PARTICIPANT_KIND_EGRESS,
)
TOOL_SECONDS = 60.0


class Room(rtc.EventEmitter[str]):
    """A room that people join and leave."""

    def __init__(self) -> None:
        super().__init__()
        self.remote_participants: dict[str, Any] = {}
        self.connected = True

    def isconnected(self) -> bool:
        return self.connected

    def join(self, identity: str = "ann", kind: int = BROWSER, **attributes: str) -> None:
        joined = SimpleNamespace(
            identity=identity,
            kind=kind,
            permissions=SimpleNamespace(hidden=False),
            attributes=attributes,
            disconnect_reason=None,
        )
        self.remote_participants[identity] = joined
        self.emit("participant_connected", joined)

    def leave(self, identity: str = "ann", reason: int | None = REASONS.CLIENT_INITIATED) -> None:
        left = self.remote_participants.pop(identity)
        left.disconnect_reason = reason
        self.emit("participant_disconnected", left)


class Call:
    """What has been done about a call."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")

    def link(self, participant: rtc.RemoteParticipant) -> None:
        self.done.append(f"link {participant.identity}")

    def end(self, reason: str) -> None:
        self.done.append(f"end: {reason}")


class Scene:
    """An attendance over a room, with all that comes of it."""

    def __init__(self, *, rejoin: float = 0.3, nobody: float = 0.0, limits: bool = True) -> None:
        self.room, self.call = Room(), Call()
        self.events: list[Event] = []
        stream = EventStream()
        stream.subscribe(self.events.append)
        self.live = LiveCall(events=stream, job_id="AJ_1", room="r", agent="support", distribution="")
        self.hang_up = HangUp(self.room, TOOL_SECONDS)  # type: ignore[arg-type]
        self._limits = Limits(rejoin=rejoin, nobody=nobody) if limits else None

    def watch(self) -> Attendance:
        watching = Attendance(self.room, self.live, self.hang_up, self._limits)  # type: ignore[arg-type]
        watching.attend(self.call)
        return watching

    @property
    def told(self) -> list[str]:
        """The events, in short."""
        return [getattr(event, "cause", "attended") for event in self.events]


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {
        "RELEASE_SECONDS": 0.05,
        "BUSY_LOOK_SECONDS": 0.02,
        "AFTER_RESTART_SECONDS": 0.4,
        "REPLACE_SECONDS": 0.1,
    }.items():
        monkeypatch.setattr(module, name, seconds)


async def test_a_call_waits_for_its_caller_without_a_slot_and_goes_on() -> None:
    scene = Scene(rejoin=60.0)
    scene.room.join()
    scene.watch()
    scene.room.leave()
    assert scene.call.done == ["pause"]
    await wait_until(lambda: scene.told == ["left"])
    scene.room.join()
    assert scene.call.done == ["pause", "resume", "link ann"]
    assert [type(event) for event in scene.events] == [CallWaiting, CallAttended]
    assert scene.live.left_at is None


async def test_a_call_whose_caller_stays_away_ends_and_has_lasted_until_they_left() -> None:
    scene = Scene()
    scene.live.since -= 30.0
    scene.room.join()
    scene.watch()
    scene.room.leave()
    lasted = scene.live.age
    await wait_until(lambda: scene.call.done == ["pause", "end: everybody has left"])
    scene.live.emit_ended("everybody has left")
    ended = scene.events[-1]
    assert isinstance(ended, CallEnded)
    assert 30.0 <= ended.seconds <= lasted + 0.001, "the wait does not count"


@pytest.mark.parametrize(
    ("kind", "reason", "attributes"),
    [
        (PHONE, REASONS.CLIENT_INITIATED, {}),
        (BROWSER, REASONS.ROOM_DELETED, {}),
        (BROWSER, REASONS.PARTICIPANT_REMOVED, {}),
        (BROWSER, REASONS.CLIENT_INITIATED, {"openrtc.hangs_up": "true"}),
    ],
)
async def test_who_cannot_come_back_is_not_waited_for(kind: int, reason: int, attributes: dict[str, str]) -> None:
    scene = Scene(rejoin=60.0)
    scene.room.join("ann", kind, **attributes)
    scene.watch()
    scene.room.leave("ann", reason)
    assert scene.call.done == ["end: everybody has left"]
    await wait_until(lambda: scene.told == ["left"])  # its shutdown may take long: it has no slot either


@pytest.mark.parametrize("reason", [REASONS.CLIENT_INITIATED, REASONS.SIGNAL_CLOSE, REASONS.CONNECTION_TIMEOUT])
async def test_a_browser_that_leaves_or_loses_its_connection_is_waited_for(reason: int) -> None:
    scene = Scene(rejoin=60.0)
    scene.room.join()
    scene.watch()
    scene.room.leave("ann", reason)
    await wait_until(lambda: scene.told == ["left"])
    assert scene.call.done == ["pause"]


async def test_a_lost_connection_of_a_caller_that_hangs_up_is_waited_for() -> None:
    scene = Scene(rejoin=60.0)
    scene.room.join("ann", BROWSER, **{"openrtc.hangs_up": "true"})
    scene.watch()
    scene.room.leave("ann", REASONS.SIGNAL_CLOSE)
    assert scene.call.done == ["pause"]


async def test_the_last_one_to_leave_does_not_end_the_wait_for_the_one_before() -> None:
    scene = Scene(rejoin=60.0)
    scene.room.join("ann")
    scene.room.join("phone", PHONE)
    scene.watch()
    scene.room.leave("ann")
    assert scene.call.done == ["link phone"], "somebody is heard who is there"
    scene.room.leave("phone")
    assert scene.call.done == ["link phone", "pause"]


async def test_a_recorder_is_nobody() -> None:
    scene = Scene(rejoin=60.0)
    scene.room.join()
    scene.room.join("recorder", RECORDER)
    scene.watch()
    scene.room.leave()
    scene.room.join("recorder-2", RECORDER)
    assert scene.call.done == ["pause"]


async def test_a_new_connection_that_replaces_the_old_one_is_not_noticed() -> None:
    scene = Scene(rejoin=60.0)
    scene.room.join()
    scene.watch()
    scene.room.leave("ann", REASONS.DUPLICATE_IDENTITY)
    scene.room.join()
    await asyncio.sleep(0.2)
    assert scene.call.done == ["link ann"]
    assert scene.told == []


@pytest.mark.parametrize("reason", [REASONS.DUPLICATE_IDENTITY, REASONS.UNKNOWN_REASON, None])
@pytest.mark.parametrize("kind", [BROWSER, PHONE])
async def test_a_new_connection_finds_the_call_also_where_nobody_is_waited_for(kind: int, reason: int | None) -> None:
    scene = Scene(rejoin=0.0)
    scene.room.join(kind=kind)
    scene.watch()
    scene.room.leave("ann", reason)
    assert scene.call.done == []
    scene.room.join(kind=kind)
    assert scene.call.done == ["link ann"]
    scene.room.leave("ann", reason)
    await wait_until(lambda: scene.call.done[-1] == "end: everybody has left")  # nor is it there


async def test_a_call_that_nobody_has_come_to_has_no_slot_and_ends_after_its_own_time() -> None:
    scene = Scene(nobody=0.2)
    scene.watch()
    await wait_until(lambda: scene.told == ["nobody_yet"])
    await wait_until(lambda: bool(scene.call.done))
    assert scene.call.done == ["end: nobody has come"]
    assert scene.live.left_at is None


async def test_a_call_that_nobody_has_come_to_may_wait_for_ever() -> None:
    scene = Scene(rejoin=0.1, nobody=0.0)
    scene.watch()
    await asyncio.sleep(0.3)
    assert scene.call.done == []
    scene.room.join()
    assert scene.told == ["nobody_yet", "attended"]


async def test_nobody_is_counted_before_the_agent_is_connected() -> None:
    scene = Scene(nobody=0.1)
    scene.room.connected = False
    scene.watch()
    await asyncio.sleep(0.2)
    assert scene.call.done == []
    scene.room.connected = True
    scene.room.emit("connection_state_changed", rtc.ConnectionState.CONN_CONNECTED)
    await wait_until(lambda: scene.call.done == ["end: nobody has come"])


async def test_a_caller_who_left_before_the_session_was_built_is_known_afterwards() -> None:
    scene = Scene()
    scene.room.join()
    scene.room.leave()
    scene.watch()
    assert scene.call.done == ["pause"]
    gone = Scene(rejoin=0.0)
    gone.room.join("ann", PHONE)
    watching = Attendance(gone.room, gone.live, gone.hang_up, Limits(rejoin=9.0, nobody=0.0))  # type: ignore[arg-type]
    gone.room.leave()
    watching.attend(gone.call)
    assert gone.call.done == ["end: everybody has left"]


async def test_a_tool_keeps_the_slot() -> None:
    scene = Scene(rejoin=60.0)
    scene.room.join()
    scene.watch()

    async def run_tool(over: asyncio.Event) -> None:
        with scene.hang_up.limit("a tool", 60.0, is_tool=True):
            await over.wait()

    over = asyncio.Event()
    tool = asyncio.create_task(run_tool(over))
    await asyncio.sleep(0)
    scene.room.leave()
    await asyncio.sleep(0.2)
    assert scene.told == []
    over.set()
    await tool
    await wait_until(lambda: scene.told == ["left"])


async def test_what_waits_for_words_of_the_caller_keeps_no_slot() -> None:
    scene = Scene(rejoin=60.0)
    scene.room.join()
    scene.watch()
    with scene.hang_up.limit("on_enter", 60.0):
        scene.room.leave()
        await wait_until(lambda: scene.told == ["left"])


async def test_after_a_lost_connection_of_its_own_a_call_waits_anew_and_at_least_so_long() -> None:
    scene = Scene(rejoin=0.05)
    scene.room.join("ann", PHONE)
    scene.watch()
    scene.room.emit("reconnecting")
    scene.room.leave("ann", REASONS.UNKNOWN_REASON)
    await asyncio.sleep(0.2)
    assert scene.call.done == [], "until it is connected again, it sees nobody"
    loop = asyncio.get_running_loop()
    began = loop.time()
    scene.room.emit("reconnected")
    await wait_until(lambda: scene.call.done or scene.told)
    assert loop.time() - began >= 0.39, "nor is it the first to go meanwhile"
    await wait_until(lambda: "end: everybody has left" in scene.call.done)


async def test_who_is_back_when_the_agent_is_connected_again_has_never_left() -> None:
    scene = Scene(rejoin=0.05)
    scene.room.join()
    scene.watch()
    scene.room.emit("reconnecting")
    scene.room.leave("ann", REASONS.UNKNOWN_REASON)
    scene.room.join()
    scene.room.emit("reconnected")
    await asyncio.sleep(0.2)
    assert scene.call.done == ["link ann"]
    assert scene.told == []


async def test_an_agent_that_is_out_of_its_room_has_no_slot() -> None:
    scene = Scene(rejoin=60.0)
    scene.room.join()
    scene.watch()
    scene.room.remote_participants.clear()
    scene.room.connected = False
    scene.room.emit("disconnected", REASONS.ROOM_DELETED)
    await wait_until(lambda: scene.told == ["left"])
    assert scene.call.done == [], "livekit-agents ends the job"


async def test_a_call_that_is_over_says_no_more() -> None:
    scene = Scene(rejoin=60.0)
    scene.room.join()
    scene.watch()
    scene.room.leave()
    scene.live.emit_ended("shut down")
    await asyncio.sleep(0.15)
    assert [type(event) for event in scene.events] == [CallEnded]


def scene_of_entrypoint(monkeypatch: pytest.MonkeyPatch) -> tuple[Scene, Any]:
    """Return a scene with somebody there, and the context of its job, which an entrypoint serves."""
    scene = Scene()
    monkeypatch.setattr(module, "find_hang_up", lambda context: scene.hang_up)
    scene.room.join()
    return scene, SimpleNamespace(room=scene.room)


async def test_an_entrypoint_keeps_its_slot_until_it_has_returned_and_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, context = scene_of_entrypoint(monkeypatch)
    with keep_slot_meanwhile(context, scene.live):
        scene.room.leave()
        await asyncio.sleep(0.2)
        assert scene.told == []
    await wait_until(lambda: scene.told == ["left"])
    assert isinstance(waiting := scene.events[0], CallWaiting)
    assert not waiting.may_be_ended
    assert scene.live.left_at is None, "its length is that of its job"


async def test_the_slot_of_an_entrypoint_is_free_when_its_sessions_have_closed_and_it_has_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, context = scene_of_entrypoint(monkeypatch)
    with keep_slot_meanwhile(context, scene.live) as slot:
        assert slot
        slot.note_session("first")
        slot.note_session("second")
        slot.note_close("first")
        slot.note_close("second")
        assert scene.told == [], "its function may have something to do"
        slot.note_session("third")
    assert scene.told == []
    slot.note_close("third")
    assert scene.told == ["closed"], "at once, though somebody is there"
    assert isinstance(waiting := scene.events[0], CallWaiting)
    assert waiting.may_be_ended
    scene.room.join("bob")
    assert scene.told == ["closed"], "nobody would serve bob"
    slot.note_session("fourth")
    assert scene.told == ["closed", "attended"]
    slot.note_close("fourth")
    scene.room.leave()
    scene.room.leave("bob")
    assert scene.told == ["closed", "attended", "closed"]


async def test_an_entrypoint_that_waits_for_its_first_caller_keeps_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    context: Any = SimpleNamespace(room=scene.room)
    monkeypatch.setattr(module, "find_hang_up", lambda context: scene.hang_up)
    with contextlib.ExitStack() as stack:
        stack.enter_context(keep_slot_meanwhile(context, scene.live))
    await asyncio.sleep(0.2)
    assert scene.told == []


@pytest.mark.parametrize(
    ("room", "spec", "worker", "rejoin", "nobody"),
    [
        ({"departure_timeout": 20, "empty_timeout": 300}, None, {}, 20.0, 300.0),
        ({"departure_timeout": 5, "empty_timeout": 300}, None, {}, 5.0, 300.0),
        ({}, None, {}, 20.0, 0.0),
        ({"departure_timeout": 60}, 40.5, {"rejoin_seconds": 3}, 40.5, 0.0),
        ({"departure_timeout": 60}, 0, {"nobody_seconds": 7}, 0.0, 7.0),
        ({"empty_timeout": 300}, None, {"rejoin_seconds": 0, "nobody_seconds": 0}, 0.0, 0.0),
    ],
)
def test_the_limits_come_from_the_agent_the_settings_and_the_room(
    room: dict[str, Any], spec: float | None, worker: dict[str, Any], rejoin: float, nobody: float
) -> None:
    limits = Limits.of(
        models.Room(**room),
        AgentSpec(agent=Call, rejoin_seconds=spec),
        WorkerSettings(**worker),
    )
    assert (limits.rejoin, limits.nobody) == (rejoin, nobody)
