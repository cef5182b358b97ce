"""Which calls another agent is asked for when their worker's server is gone, and where."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import api
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.dispatches import Dispatch
from openrtc.errors import OpenRTCError
from openrtc.model.decision import DECISION_ATTRIBUTE
from openrtc.settings.config import WorkerSettings
from openrtc.worker import stranded_calls
from openrtc.worker.stranded_calls import StrandedCalls
from waiting import wait_until

OWN, OTHER = "ws://127.0.0.1:1", "ws://127.0.0.1:2"
SETTINGS = WorkerSettings(url=OWN, api_key="k", api_secret="s")
KINDS = api.ParticipantInfo.Kind
JOB = proto.Job(
    id="AJ_1",
    dispatch_id="AD_1",
    agent_name="keep",
    metadata="m",
    attributes={"a": "b", DECISION_ATTRIBUTE: "{}"},
    room=models.Room(name="r", sid="RM_1"),
)


class Cluster:
    """Two nodes, of which the worker's own one is gone; the other holds the room of `JOB`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.own_is_back = False
        self.listed = ["AD_1", "AD_2"]
        self.participants = [
            api.ParticipantInfo(identity="ann", kind=KINDS.STANDARD),
            api.ParticipantInfo(identity="agent-AJ_1", kind=KINDS.AGENT),
            api.ParticipantInfo(identity="agent-AJ_2", kind=KINDS.AGENT),
        ]
        self.removed: list[str] = []
        self.asked_for: list[api.CreateAgentDispatchRequest] = []
        self.ended: list[str] = []
        self.connected = False
        self.others = [{"pid": 2, "url": OTHER}, {"pid": 3, "url": OWN}, {"pid": 4, "state": "does not answer"}]
        monkeypatch.setattr(stranded_calls, "read_snapshots", lambda pid: self.others)
        monkeypatch.setattr(stranded_calls, "room_exists", self.room_exists)
        monkeypatch.setattr(stranded_calls, "list_dispatches", self.list_dispatches)
        monkeypatch.setattr(stranded_calls, "open_api", self.open_api)
        self.calls = StrandedCalls(
            SETTINGS, lambda: self.connected, lambda: [JOB], lambda job_id, why: self.ended.append(job_id)
        )

    async def room_exists(self, room: str, *, connection: LiveKitConnection) -> bool:
        assert connection.url == OWN
        if not self.own_is_back:
            raise OpenRTCError("cannot reach it")
        return False

    async def list_dispatches(self, room: str, *, connection: LiveKitConnection) -> list[Dispatch]:
        assert connection.url == OTHER, "the own node is gone"
        return [Dispatch(id=one, room=room) for one in self.listed]

    @contextlib.asynccontextmanager
    async def open_api(self, connection: LiveKitConnection) -> AsyncIterator[Any]:
        assert (connection.url, connection.api_key) == (OTHER, "k")
        yield SimpleNamespace(
            room=SimpleNamespace(list_participants=self.list_participants, remove_participant=self.remove),
            agent_dispatch=SimpleNamespace(create_dispatch=self.create_dispatch),
        )

    async def list_participants(self, request: api.ListParticipantsRequest) -> api.ListParticipantsResponse:
        return api.ListParticipantsResponse(participants=self.participants)

    async def remove(self, request: api.RoomParticipantIdentity) -> None:
        self.removed.append(request.identity)

    async def create_dispatch(self, request: api.CreateAgentDispatchRequest) -> None:
        self.asked_for.append(request)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


async def test_another_agent_is_asked_for_once_on_the_node_that_lives(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    await cluster.calls.hand_over()
    await cluster.calls.hand_over()
    (asked,) = cluster.asked_for
    assert (asked.room, asked.agent_name, asked.metadata, dict(asked.attributes)) == ("r", "keep", "m", {"a": "b"})
    assert (cluster.removed, cluster.ended) == (["agent-AJ_1"], ["AJ_1"])
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"room 'r': {OWN} cannot be reached, and the call goes on at {OTHER}")


async def test_nothing_is_done_where_the_own_server_is_back(cluster: Cluster) -> None:
    cluster.own_is_back = True
    await cluster.calls.hand_over()
    assert (cluster.asked_for, cluster.ended) == ([], [])


async def test_a_room_that_the_dead_node_had_is_left_to_the_server(cluster: Cluster) -> None:
    cluster.listed = ["AD_3"]
    await cluster.calls.hand_over()
    assert (cluster.asked_for, cluster.ended) == ([], [])


async def test_no_agent_is_asked_for_where_nobody_is(cluster: Cluster) -> None:
    del cluster.participants[0]
    await cluster.calls.hand_over()
    assert (cluster.asked_for, cluster.ended, cluster.removed) == ([], [], [])


async def test_a_node_that_fails_ends_no_call(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(room: str, *, connection: object) -> list[Dispatch]:
        raise OpenRTCError("cannot reach it")

    monkeypatch.setattr(stranded_calls, "list_dispatches", fail)
    await cluster.calls.hand_over()
    assert (cluster.asked_for, cluster.ended) == ([], [])


async def test_it_is_done_when_the_server_has_been_gone_for_a_while(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stranded_calls, "STRANDED_SECONDS", 0.01)
    monkeypatch.setattr(stranded_calls, "LOST_SECONDS", 0.05)
    cluster.connected = True
    watching = asyncio.create_task(cluster.calls.watch())
    try:
        await asyncio.sleep(0.2)
        assert cluster.ended == []
        cluster.connected = False
        await wait_until(lambda: cluster.ended)
    finally:
        watching.cancel()
