"""Which dispatches a LiveKit server has made anew, and that an agent is let in where nobody can tell."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc.dispatch import relaunch
from openrtc.dispatch.dispatches import Dispatch
from openrtc.dispatch.relaunch import AnsweredDispatch, ask_whether_relaunched, is_relaunched, sign_request
from openrtc.model.decision import DECISION_ATTRIBUTE
from openrtc.settings.config import WorkerSettings

SETTINGS = WorkerSettings(url="ws://127.0.0.1:1", api_key="k", api_secret="s")


@pytest.mark.parametrize(
    ("answered", "made", "relaunched"),
    [
        ({"old"}, {"new": 100.0}, True),
        ({"old"}, {"other": 100.0, "new": 100.3}, True),
        ({"old", "older"}, {"new": 100.0}, True),
        ({"old", "kept"}, {"kept": 100.0, "new": 100.0}, True),
        ({"old"}, {"old": 100.0, "new": 100.0}, False),  # both are wanted
        ({"old"}, {"made_with_room": 100.0, "new": 105.0}, False),  # dispatched after the restart
        ({"old"}, {"other": 100.0}, False),  # the new one is gone again
        ({"old"}, {}, False),
        (set(), {"new": 100.0}, False),
    ],
)
def test_a_dispatch_is_made_anew_where_the_server_has_lost_the_one_that_is_answered(
    answered: set[str], made: dict[str, float], relaunched: bool
) -> None:
    assert is_relaunched("new", answered, made) is relaunched


def test_a_request_is_the_same_with_the_same_name_metadata_and_attributes() -> None:
    job = proto.Job(id="AJ_1", agent_name="keep", metadata="m", attributes={"a": "1", "b": "2"})
    same = proto.Job(
        id="AJ_2", agent_name="keep", metadata="m", attributes={"b": "2", DECISION_ATTRIBUTE: "{}", "a": "1"}
    )
    assert sign_request(job, "s") == sign_request(same, "s")
    others = [
        proto.Job(agent_name="", metadata="m", attributes=job.attributes),
        proto.Job(agent_name="keep", metadata="n", attributes=job.attributes),
        proto.Job(agent_name="keep", metadata="m"),
        proto.Job(agent_name="keep", metadata="m", attributes=job.attributes, deployment="staging"),
    ]
    signed = {sign_request(one, "s") for one in [job, *others]}
    assert len(signed) == len(others) + 1
    assert sign_request(job, "another secret") not in signed, "a caller cannot guess the metadata from it"
    assert "keep" not in sign_request(job, "s")


def test_what_is_answered_survives_json() -> None:
    answered = AnsweredDispatch.of(proto.Job(dispatch_id="AD_1", room=models.Room(sid="RM_1")), "s")
    assert AnsweredDispatch.from_json(answered.to_json()) == answered
    assert (answered.id, answered.room_sid) == ("AD_1", "RM_1")


async def test_an_agent_is_let_in_where_the_server_does_not_answer_or_refuses(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert not await ask_whether_relaunched("r", "new", {"old"}, SETTINGS)
    assert "room 'r': whether it gets a second agent cannot be told: cannot reach ws://127.0.0.1:1" in caplog.text
    caplog.clear()
    monkeypatch.setattr(relaunch, "RELAUNCH_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        assert not await ask_whether_relaunched(
            "r", "new", {"old"}, WorkerSettings(url=url, api_key="k", api_secret="s")
        )
        assert time.monotonic() - began < 30.0, "the server's own patience is longer than that of whoever offers a job"
    (record,) = caplog.records
    assert record.getMessage().endswith("no answer in 0.2 s; it is let in") and record.exc_info is None


class Server:
    """What a server lists of its rooms, and in what order it was asked for them."""

    def __init__(self, **made: list[str]) -> None:
        self.made = made
        self.asked: list[str] = []
        self.began = asyncio.Event()

    async def list_dispatches(self, room: str, *, connection: object) -> list[Dispatch]:
        self.asked.append(room)
        listed = [Dispatch(id=name, room=room, created_at=100.0) for name in self.made[room]]
        self.began.set()
        await asyncio.sleep(0.01)  # what comes meanwhile is not in the answer
        return listed


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(relaunch, "list_dispatches", server.list_dispatches)
    return server


def ask(dispatch: str, *answered: str, room: str = "r") -> Coroutine[Any, Any, bool]:
    return ask_whether_relaunched(room, dispatch, answered, SETTINGS)


async def test_the_server_is_asked_for_the_rooms_dispatches(server: Server) -> None:
    server.made = {"r": ["new"], "other": ["old", "new"]}
    assert await ask("new", "old")
    assert not await ask("new", "old", room="other")
    assert server.asked == ["r", "other"]


async def test_ten_agents_that_come_at_once_and_see_each_other_are_one_look(server: Server) -> None:
    wanted = server.made["r"] = [f"AD_{index}" for index in range(10)]
    pairs = [(one, other) for one in wanted for other in wanted if one != other]
    assert await asyncio.gather(*(ask(one, other) for one, other in pairs)) == [False] * 90
    assert await asyncio.gather(*(ask(one, *set(wanted) - {one}) for one in wanted)) == [False] * 10
    assert server.asked == ["r"]


async def test_agents_that_come_one_after_the_other_are_a_look_each(server: Server) -> None:
    wanted = server.made["r"] = ["AD_0"]
    for index in range(1, 10):
        come = f"AD_{index}"
        wanted.append(come)
        assert not await ask(come, *wanted[:-1]), "before its job is taken"
        assert not await ask(come, *wanted[:-1]), "in the room"
        assert not any(await asyncio.gather(*(ask(one, come) for one in wanted[:-1]))), "all others see it arrive"
    assert len(server.asked) == 9


async def test_what_has_come_since_a_look_is_not_taken_for_lost(server: Server) -> None:
    server.made["r"] = ["first", "second"]
    early = asyncio.create_task(ask("second", "first"))
    await server.began.wait()
    server.made["r"].append("third")
    assert not await ask("second", "third") and not await early
    assert len(server.asked) == 2


async def test_a_look_is_at_least_a_moment_after_the_last_one_and_what_it_says_is_new(server: Server) -> None:
    loop = asyncio.get_running_loop()
    server.made["r"] = ["first", "second"]
    began = loop.time()
    assert not await ask("second", "first")
    server.made["r"] = ["anew"]  # the server was restarted
    lost = asyncio.gather(ask("anew", "first"), ask("anew", "second"))
    assert not await ask("first", "second")
    assert all(await lost)
    assert loop.time() - began >= relaunch.LOOK_EVERY_SECONDS
    assert len(server.asked) == 2


async def test_who_asks_first_may_be_cancelled_and_the_others_get_their_answer(server: Server) -> None:
    server.made["r"] = ["new"]
    first, second = asyncio.create_task(ask("new", "old")), asyncio.create_task(ask("new", "older"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
    assert len(server.asked) == 1


async def test_a_failed_look_is_not_remembered(server: Server) -> None:
    assert not await ask("new", "old"), "no such room: an error of this stand-in"
    server.made["r"] = ["new"]
    assert await ask("new", "old")


async def test_no_more_rooms_are_remembered_than_needed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaunch, "MOST_ROOMS", 2)
    monkeypatch.setattr(relaunch, "LOOK_EVERY_SECONDS", 0.0)
    rooms = ["a", "b", "c", "c", "a"]
    for room in rooms:
        server.made[room] = ["one", "two"]
        assert not await ask("two", "one", room=room)
    assert server.asked == ["a", "b", "c", "a"]
