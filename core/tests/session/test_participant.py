"""Which participants are people, whatever says so: the native library or the server's API."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import api, rtc

from openrtc import AgentSpec, Cast, Decision, Member
from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import LoadedAgent
from openrtc.model.dispatch_names import read_answering_agent
from openrtc.model.livekit_worker import LiveKitWorker
from openrtc.session.participant import build_participant, is_person, wait_for_person

PEOPLE = {"STANDARD", "SIP", "CONNECTOR"}
MACHINES = {"AGENT", "EGRESS", "INGRESS", "BRIDGE"}
UNKNOWN = 99
"""A kind of a server that is newer than the library."""


def in_room(kind: int, *, hidden: bool = False) -> Any:
    return SimpleNamespace(kind=kind, permissions=SimpleNamespace(hidden=hidden))


def by_api(kind: int, *, hidden: bool = False) -> api.ParticipantInfo:
    return api.ParticipantInfo(kind=kind, permission=api.ParticipantPermission(hidden=hidden))  # type: ignore[arg-type]


def numbers(kind: str) -> tuple[int, int]:
    """Return a kind's number in the native library and in the server's API."""
    return rtc.ParticipantKind.Value(f"PARTICIPANT_KIND_{kind}"), api.ParticipantInfo.Kind.Value(kind)


@pytest.mark.parametrize("kind", sorted(PEOPLE))
def test_callers_by_browser_phone_or_messenger_are_people_unless_hidden(kind: str) -> None:
    room_kind, api_kind = numbers(kind)
    assert is_person(in_room(room_kind)) and is_person(by_api(api_kind))
    assert not is_person(in_room(room_kind, hidden=True)) and not is_person(by_api(api_kind, hidden=True))


@pytest.mark.parametrize("kind", sorted(MACHINES))
def test_agents_recorders_streams_and_cameras_are_no_people(kind: str) -> None:
    room_kind, api_kind = numbers(kind)
    assert not is_person(in_room(room_kind)) and not is_person(by_api(api_kind))


def test_every_kind_that_livekit_knows_has_been_thought_of() -> None:
    assert {name.removeprefix("PARTICIPANT_KIND_") for name, _ in rtc.ParticipantKind.items()} == PEOPLE | MACHINES
    assert set(api.ParticipantInfo.Kind.keys()) == PEOPLE | MACHINES


def test_a_kind_that_is_not_known_yet_is_a_person() -> None:
    assert is_person(in_room(UNKNOWN)) and is_person(by_api(UNKNOWN))


def make() -> None: ...


def desk(**options: Any) -> Catalog:
    tim = AgentSpec(name="dispatcher", agent=make, display_name="Tim")
    members = [Member(role="boss", agent=tim), Member(role="help", agent="support")]
    cast = AgentSpec(name="desk", cast=Cast(members=members, **options))
    return Catalog.of(specs=[AgentSpec(name="support", agent=make), cast])


def test_the_ear_is_the_jobs_own_participant_and_others_see_role_and_name() -> None:
    decision = Decision.to("desk")
    assert build_participant(desk(), decision, "AJ_1") == {
        "identity": "boss-AJ_1",
        "name": "Tim",
        "attributes": {"lk.agent.name": "dispatcher", "openrtc.role": "boss"},
    }
    assert build_participant(desk(ear="help"), decision, "AJ_1")["identity"] == "help-AJ_1"
    assert build_participant(desk(), Decision.to("support"), "AJ_1")["identity"] == "support-AJ_1"


@pytest.mark.parametrize(("in_code", "named"), [("reception", {"lk.agent.name": "reception"}), ("", {})])
def test_a_worker_of_livekits_own_kind_looks_as_it_does_there(in_code: str, named: dict[str, str]) -> None:
    async def entrypoint(_: Any) -> None: ...

    worker = LiveKitWorker(entrypoint=entrypoint, agent_name=in_code)
    agent = LoadedAgent(name="front", spec=AgentSpec(name="front", entrypoint=entrypoint), worker=worker)
    participant = build_participant(Catalog((agent,)), Decision.to("front"), "AJ_1")
    assert participant == {
        "name": "",
        "identity": "agent-AJ_1",
        "attributes": {"openrtc.agent": "front", **named},
    }
    assert read_answering_agent({**participant["attributes"], "lk.agent.name": in_code}) == "front"
    assert read_answering_agent({"lk.agent.name": "support"}) == "support"


async def test_a_call_in_text_waits_for_a_person_but_not_for_long() -> None:
    room = rtc.EventEmitter[str]()
    there: dict[str, Any] = {"tim": in_room(numbers("AGENT")[0])}
    room.remote_participants = there  # type: ignore[attr-defined]  # as a room has them
    waiting = asyncio.create_task(wait_for_person(room, 60.0))  # type: ignore[arg-type]  # of which it needs no more
    await asyncio.sleep(0)
    room.emit("participant_connected", in_room(numbers("INGRESS")[0]))
    await asyncio.sleep(0)
    assert not waiting.done()
    room.emit("participant_connected", in_room(numbers("SIP")[0]))
    await waiting
    await wait_for_person(room, 0.0)  # type: ignore[arg-type]  # as above
    there["ann"] = in_room(numbers("STANDARD")[0])
    await wait_for_person(room, 60.0)  # type: ignore[arg-type]  # as above
