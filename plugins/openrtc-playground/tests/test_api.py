"""What the page is told: agents, calls, and its tokens."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from livekit import api

from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.marks import is_marked
from openrtc.settings.load import load_config
from openrtc_playground import agents, calls
from openrtc_playground.agents import InstalledAgents, list_agents
from openrtc_playground.calls import list_calls
from openrtc_playground.tokens import create_call_token, create_watch_token

SECRET = "a secret that is long enough to sign with"
CONNECTION = LiveKitConnection(url="ws://127.0.0.1:7880", api_key="devkey", api_secret=SECRET)
NAMED = LiveKitConnection(url="ws://127.0.0.1:7880", api_key="devkey", api_secret=SECRET, agent_name="front")

Grants = dict[str, Any]


def worker(url: str = "ws://localhost:7880", **more: Any) -> dict[str, Any]:
    given = {"pid": 1, "url": url, "state": "ready", "session_host": "operators", "profile": "lean", "calls": []}
    return given | more


def row(name: str, **more: Any) -> dict[str, Any]:
    given = {"name": name, "state": "ready", "reason": None, "fix": None, "location": None, "distribution": "d"}
    return given | {"version": "1.0", "summary": "s", "lacks": [], "shape": "agent", "members": []} | more


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The workers of this machine, of which a test may add some."""
    there: list[dict[str, Any]] = []
    monkeypatch.setattr(agents, "read_snapshots", lambda tidy: there)
    rows = [
        row("pair", shape="cast", members=[{"role": "driver", "name": "Chris", "agent": "chris"}]),
        row("paused"),
        row("lacking", lacks=[{"what": "a voice", "fix": "get one", "kind": "key"}]),
        row("broken", state="broken", reason="it fails", fix="mend it"),
    ]
    monkeypatch.setattr(agents, "send_order", lambda pid, order: {"done": "", "agents": rows})
    return there


def test_the_agents_are_those_of_the_worker_that_runs(workers: list[dict[str, Any]]) -> None:
    workers += [worker(state="starting"), worker(paused=["paused"])]
    found = list_agents(InstalledAgents(load_config(environ={})), CONNECTION)
    assert found["worker"] == {"found": True, "state": "ready", "session_host": "operators", "profile": "lean"}
    told = {one["name"]: (one["ready"], one["kind"], one["reason"], one["fix"]) for one in found["agents"]}
    assert told == {
        "pair": (True, "cast", "", ""),
        "paused": (False, "agent", "it is paused", "openrtc resume paused"),
        "lacking": (False, "agent", "it lacks a voice", "get one"),
        "broken": (False, "agent", "it fails", "mend it"),
    }
    assert found["agents"][0]["members"] == [{"role": "driver", "name": "Chris", "agent": "chris"}]
    assert (found["own_name"], found["routes"]) == ("", True)


def test_without_a_worker_of_this_server_they_are_those_that_are_installed(workers: list[dict[str, Any]]) -> None:
    workers.append(worker("wss://elsewhere.example"))
    found = list_agents(InstalledAgents(load_config(environ={"OPENRTC_ALLOW": "nothing"})), CONNECTION)
    assert not found["worker"]["found"] and found["agents"]
    assert not any(one["ready"] for one in found["agents"])
    assert {"nothing" in one["reason"] or "allow" in one["reason"] for one in found["agents"]} == {True}


def decode(given: dict[str, Any]) -> Grants:
    decoded: Grants = jwt.decode(given["token"], SECRET, algorithms=["HS256"])
    assert decoded["exp"] - decoded["nbf"] == given["expires_in"] == 600
    assert decoded["sub"] == given["identity"] and decoded["video"]["room"] == given["room"]
    assert decoded["video"]["canManageAgentSession"] and decoded["video"]["roomJoin"]
    assert not {"roomAdmin", "roomList", "roomCreate", "agent"} & decoded["video"].keys()
    return decoded


def test_each_call_has_a_room_of_its_own_and_a_marked_dispatch() -> None:
    one, two = (create_call_token(NAMED, "support", text=text) for text in (True, False))
    assert one["room"] != two["room"] and one["identity"] != two["identity"]
    (asked,) = decode(one)["roomConfig"]["agents"]
    assert asked["agentName"] == "front" and asked["attributes"]["openrtc.agent"] == "support"
    assert asked["attributes"]["openrtc.modality"] == "text"
    dispatch = api.AgentDispatch(room=one["room"], agent_name="front", attributes=asked["attributes"])
    assert is_marked(dispatch, SECRET)
    dispatch.room = two["room"]
    assert not is_marked(dispatch, SECRET)
    assert "openrtc.modality" not in decode(two)["roomConfig"]["agents"][0]["attributes"]


@pytest.mark.parametrize("name", ["", "inbound-agent"])
def test_a_worker_of_livekit_agents_own_kind_is_asked_for_by_its_name(name: str) -> None:
    (asked,) = decode(create_call_token(NAMED, "", text=False, dispatch_name=name))["roomConfig"]["agents"]
    assert asked.get("agentName", "") == name and "openrtc.agent" not in asked["attributes"]


def test_whoever_watches_is_hidden_and_publishes_nothing() -> None:
    video = decode(create_watch_token(CONNECTION, "support-1"))["video"]
    assert video["hidden"] and video["canPublish"] is False and video["canUpdateOwnMetadata"] is False
    assert video["canPublishData"], "requests to the session are data"


class Room:
    """A server's rooms: who is in each of them."""

    def __init__(self, **there: Sequence[api.ParticipantInfo]) -> None:
        self.there = there

    async def list_rooms(self, _: object) -> Any:
        return SimpleNamespace(rooms=[SimpleNamespace(name=name, creation_time=12) for name in self.there])

    async def list_participants(self, request: api.ListParticipantsRequest) -> Any:
        if request.room not in self.there:
            raise api.TwirpError("not_found", "no such room", status=404)
        return SimpleNamespace(participants=self.there[request.room])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = api.ParticipantInfo.Kind.AGENT
    tim = api.ParticipantInfo(identity="tim-1", name="Tim", kind=kind, attributes={"lk.agent.name": "tim"})
    chris = api.ParticipantInfo(identity="chris-1", name="Chris", kind=kind, attributes={"openrtc.role": "driver"})
    ann = api.ParticipantInfo(identity="ann")
    watcher = api.ParticipantInfo(identity="watcher-1", permission=api.ParticipantPermission(hidden=True))

    @contextlib.asynccontextmanager
    async def open_api(connection: object, accept: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(room=Room(one=[tim, ann, watcher], two=[tim, chris], empty=[ann]))

    monkeypatch.setattr(calls, "open_api", open_api)


@pytest.mark.usefixtures("server")
async def test_the_calls_are_the_workers_with_why_and_who_is_in_them(workers: list[dict[str, Any]]) -> None:
    call: dict[str, Any] = {
        "room": "one",
        "job_id": "AJ_1",
        "agent": "support",
        "distribution": "d",
        "rule": "room.prefix",
    }
    call |= {"reason": "it begins so", "state": "live", "age_seconds": 5.0}
    rejected = [{"room": "x", "reason": "no agent is free"}]
    workers.append(worker(calls=[call, {**call, "room": "gone"}], recent_rejects=rejected))
    found = await list_calls(CONNECTION)
    one, gone, another = found["calls"]
    assert (another["room"], another["job"]) == ("two", ""), "of a worker elsewhere, or of another kind"
    assert (one["job"], one["rule"], one["reason"], one["state"]) == ("AJ_1", "room.prefix", "it begins so", "live")
    assert abs(time.time() - one["since"] - 5.0) < 60.0
    assert one["participants"] == ["ann"], "nobody is told of who watches"
    assert one["members"] == [{"identity": "tim-1", "name": "Tim", "role": ""}]
    assert gone["participants"] == gone["members"] == []
    assert found["rejected"] == rejected and found["failed"] == []


@pytest.mark.usefixtures("server")
async def test_without_a_worker_here_the_server_says_what_it_knows(workers: list[dict[str, Any]]) -> None:
    assert workers == []
    one, two = (await list_calls(CONNECTION))["calls"]
    assert (one["room"], one["agent"], one["reason"], one["since"]) == ("one", "tim", "", 12)
    assert (two["room"], two["agent"]) == ("two", "")
    assert [member["role"] for member in two["members"]] == ["", "driver"]
