"""An agent leaves a call that has its agent, when it sees that one in the room."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc.dispatch import relaunch
from openrtc.dispatch.dispatches import Dispatch
from openrtc.dispatch.relaunch import AnsweredDispatch
from openrtc.session.second_agent import SecondAgent, describe_dispatch
from openrtc.settings.config import WorkerSettings
from waiting import wait_until

AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
SETTINGS = WorkerSettings(url="ws://127.0.0.1:1", api_key="k", api_secret="s")


def job(dispatch: str, **more: Any) -> proto.Job:
    return proto.Job(id=f"AJ_{dispatch}", dispatch_id=dispatch, room=models.Room(name="r", sid="RM_1"), **more)


def agent(answered: proto.Job, kind: int = AGENT) -> Any:
    attributes = describe_dispatch(AnsweredDispatch.of(answered, "s"))
    return SimpleNamespace(kind=kind, identity=f"agent-{answered.id}", attributes=attributes)


class Call(rtc.EventEmitter[str]):
    """A room, and the job of the agent that has joined it, which has answered the dispatch AD_new."""

    def __init__(self, *participants: Any, dispatch: str = "AD_new") -> None:
        super().__init__()
        self.remote_participants = {one.identity: one for one in participants}
        self.reasons: list[str] = []
        self.room = self
        self.job = job(dispatch)
        self.shutdown = self.reasons.append
        context: Any = self
        self.second = SecondAgent(context, SETTINGS)

    def arrive(self, participant: Any) -> None:
        self.emit("participant_connected", participant)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rooms whose dispatches the server was asked for: it has lost AD_old."""
    rooms: list[str] = []

    async def list_dispatches(room: str, *, connection: object) -> list[Dispatch]:
        rooms.append(room)
        return [Dispatch(id=name, room=room, created_at=100.0) for name in ("AD_new", "AD_wanted")]

    monkeypatch.setattr(relaunch, "list_dispatches", list_dispatches)
    return rooms


async def test_an_agent_that_finds_the_calls_agent_in_the_room_leaves(asked: list[str]) -> None:
    why = await Call(agent(job("AD_old"))).second.why_leave()
    assert why.startswith("room 'r': the call has its agent, agent-AJ_AD_old: ")


@pytest.mark.parametrize(
    "other",
    [
        agent(job("AD_old", metadata="x")),
        agent(job("AD_old"), kind=rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD),  # a caller who sets the attribute
        agent(job("AD_new")),
        SimpleNamespace(kind=AGENT, identity="stock", attributes={}),
    ],
)
async def test_it_stays_with_anybody_else_and_asks_nobody(other: Any, asked: list[str]) -> None:
    assert await Call(other).second.why_leave() == ""
    assert asked == []


async def test_it_stays_beside_an_agent_that_is_wanted_too(asked: list[str]) -> None:
    assert await Call(agent(job("AD_wanted"))).second.why_leave() == ""
    assert asked == ["r"]


async def test_of_two_agents_only_the_one_leaves_whose_dispatch_is_new(asked: list[str]) -> None:
    assert await Call(agent(job("AD_new")), dispatch="AD_old").second.why_leave() == ""


async def test_an_agent_without_a_dispatch_stays(asked: list[str]) -> None:
    assert await Call(agent(job("AD_old")), dispatch="").second.why_leave() == ""
    assert asked == []


async def test_it_leaves_when_the_calls_agent_comes_back_after_it(
    asked: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    call = Call()
    call.second.watch()
    call.arrive(agent(job("AD_wanted")))
    await wait_until(lambda: asked)
    call.arrive(agent(job("AD_old")))
    call.arrive(agent(job("AD_old")))
    await wait_until(lambda: not call.second._asking)
    assert len(asked) == 2, "both arrivals are answered by one look"
    assert len(call.reasons) == 1 and "agent-AJ_AD_old" in call.reasons[0]
    assert [record.getMessage() for record in caplog.records] == call.reasons
