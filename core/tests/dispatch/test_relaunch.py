"""Which dispatches a LiveKit server has made anew, and that an agent is let in where nobody can tell."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc.dispatch import relaunch
from openrtc.dispatch.dispatches import Dispatch
from openrtc.dispatch.relaunch import AnsweredDispatch, ask_whether_relaunched, is_relaunched, sign_request
from openrtc.model.decision import DECISION_ATTRIBUTE
from openrtc.settings.config import WorkerSettings

SETTINGS = WorkerSettings(url="ws://127.0.0.1:1", api_key="k", api_secret="s")


def listed(**created: float) -> list[Dispatch]:
    return [Dispatch(id=name, room="r", created_at=at) for name, at in created.items()]


@pytest.mark.parametrize(
    ("answered", "dispatches", "relaunched"),
    [
        ({"old"}, listed(new=100.0), True),
        ({"old"}, listed(other=100.0, new=100.3), True),
        ({"old", "older"}, listed(new=100.0), True),
        ({"old", "kept"}, listed(kept=100.0, new=100.0), True),
        ({"old"}, listed(old=100.0, new=100.0), False),  # both are wanted
        ({"old"}, listed(made_with_room=100.0, new=105.0), False),  # dispatched after the restart
        ({"old"}, listed(other=100.0), False),  # the new one is gone again
        ({"old"}, [], False),
        (set(), listed(new=100.0), False),
    ],
)
def test_a_dispatch_is_made_anew_where_the_server_has_lost_the_one_that_is_answered(
    answered: set[str], dispatches: list[Dispatch], relaunched: bool
) -> None:
    assert is_relaunched("new", answered, dispatches) is relaunched


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


async def test_the_server_is_asked_for_the_rooms_dispatches(monkeypatch: pytest.MonkeyPatch) -> None:
    async def list_dispatches(room: str, *, connection: object) -> list[Dispatch]:
        await asyncio.sleep(0)
        return listed(new=100.0) if room == "r" else listed(old=100.0, new=100.0)

    monkeypatch.setattr(relaunch, "list_dispatches", list_dispatches)
    assert await ask_whether_relaunched("r", "new", {"old"}, SETTINGS)
    assert not await ask_whether_relaunched("other", "new", {"old"}, SETTINGS)
