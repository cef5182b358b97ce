"""Which jobs would bring a second agent into a call."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc.dispatch import relaunch
from openrtc.dispatch.dispatches import Dispatch
from openrtc.dispatch.relaunch import AnsweredDispatch
from openrtc.observe.snapshots import SnapshotServer
from openrtc.observe.sockets import make_private_folder, snapshot_path
from openrtc.settings.config import WorkerSettings
from openrtc.worker import second_agents
from openrtc.worker.second_agents import SecondAgents, is_in_old_room

pytestmark = pytest.mark.usefixtures("runtime_folder")

SETTINGS = WorkerSettings(url="ws://127.0.0.1:1", api_key="k", api_secret="s")
NOW = time.time()


def job(dispatch: str = "AD_new", *, room: str = "RM_1", age: float = 60.0, people: int = 0, **more: Any) -> proto.Job:
    made = models.Room(name="r", sid=room, creation_time_ms=round((NOW - age) * 1e3), num_participants=people)
    state = proto.JobState(started_at=round(NOW * 1e9))
    return proto.Job(id=f"AJ_{dispatch}", dispatch_id=dispatch, room=made, state=state, **more)


def of(one: proto.Job) -> AnsweredDispatch:
    return AnsweredDispatch.of(one, "s")


def guard(*live: proto.Job) -> SecondAgents:
    return SecondAgents(SETTINGS, lambda sid: [of(one) for one in live if one.room.sid == sid])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rooms whose dispatches the server was asked for: it lists only the new one."""
    rooms: list[str] = []

    async def list_dispatches(room: str, *, connection: object) -> list[Dispatch]:
        rooms.append(room)
        return [Dispatch(id="AD_new", room=room, created_at=100.0)]

    monkeypatch.setattr(relaunch, "list_dispatches", list_dispatches)
    return rooms


@pytest.fixture
def other_worker(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], SnapshotServer]:
    """Start what answers for another worker of this machine."""
    make_private_folder()
    monkeypatch.setattr("openrtc.worker.second_agents.os.getpid", lambda: -1)
    return lambda snapshot: SnapshotServer(snapshot_path(os.getppid()), lambda: snapshot)


async def test_a_live_call_gets_no_second_agent_when_the_server_has_lost_its_dispatch(asked: list[str]) -> None:
    reason = await guard(job("AD_old")).why_second(job())
    assert reason is not None and reason.startswith("its agent is live here")
    assert asked == ["r"]


@pytest.mark.parametrize(
    ("live", "offered"),
    [
        (job("AD_old", room="RM_2"), job()),  # the room was deleted and made anew
        (job("AD_old", metadata="x"), job()),
        (job("AD_old", agent_name="x"), job()),
        (job("AD_old", attributes={"x": "y"}), job()),
        (job("AD_new"), job()),  # one dispatch
        (job(""), job()),  # joined without a dispatch
        (job("AD_old"), job("")),
        (job("AD_old", room=""), job(room="")),
    ],
)
async def test_nobody_is_asked_about_any_other_job(live: proto.Job, offered: proto.Job, asked: list[str]) -> None:
    assert await guard(live).why_second(offered) is None
    assert asked == []


async def test_a_call_that_has_ended_while_the_server_was_asked_gets_an_agent(asked: list[str]) -> None:
    live = [of(job("AD_old"))]
    gone = SecondAgents(SETTINGS, lambda sid: live if not asked else [])
    assert await gone.why_second(job()) is None
    assert asked == ["r"]


async def test_a_wanted_dispatch_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def list_both(room: str, *, connection: object) -> list[Dispatch]:
        return [Dispatch(id=name, room=room, created_at=100.0) for name in ("AD_old", "AD_new")]

    monkeypatch.setattr(relaunch, "list_dispatches", list_both)
    assert await guard(job("AD_old")).why_second(job()) is None


async def test_another_worker_of_this_machine_has_the_call(
    asked: list[str], other_worker: Callable[[dict[str, Any]], SnapshotServer], runtime_folder: Path
) -> None:
    server = other_worker({"pid": 1, "dispatches": [of(job("AD_old")).to_json()]})
    try:
        reason = await guard().why_second(job())
        assert reason is not None and reason.startswith("its agent is live in another worker of this machine")
        assert await guard().why_second(job(metadata="another")) is None
        assert await guard().why_second(job(age=0.3)) is None, "a new room's job waits for nobody"
        assert await guard().why_second(job(people=1)) is None, "nor does one of a room in which somebody is"
        assert asked == ["r"]
    finally:
        server.close()


async def test_an_answer_that_nobody_understands_keeps_no_agent_away(
    asked: list[str], other_worker: Callable[[dict[str, Any]], SnapshotServer], caplog: pytest.LogCaptureFixture
) -> None:
    server = other_worker({"pid": 1, "dispatches": [{"of": "another version"}]})
    try:
        assert await guard().why_second(job()) is None
    finally:
        server.close()
    (record,) = caplog.records
    assert record.getMessage().startswith("room 'r': whether it gets a second agent cannot be told: KeyError")


def read_too_late(without: int) -> list[dict[str, Any]]:
    time.sleep(1.0)
    return [{"pid": 1, "dispatches": [of(job("AD_old")).to_json()]}]


async def test_another_worker_that_does_not_answer_keeps_no_agent_away(
    asked: list[str], other_worker: Callable[[dict[str, Any]], SnapshotServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = other_worker({"pid": 1, "state": "starting"})
    monkeypatch.setattr(second_agents, "read_snapshots", read_too_late)
    monkeypatch.setattr(second_agents, "RELAUNCH_SECONDS", 0.2)
    try:
        assert await guard().why_second(job()) is None
    finally:
        server.close()


def test_a_room_is_old_by_the_servers_own_clock() -> None:
    assert is_in_old_room(job(age=60.0)) and not is_in_old_room(job(age=1.0))
    seconds = job(age=60.0)
    seconds.room.creation_time_ms, seconds.room.creation_time = 0, round(NOW - 60)
    assert is_in_old_room(seconds), "older servers tell it in seconds"
