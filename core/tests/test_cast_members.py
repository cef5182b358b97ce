"""What a member is to others: its participant, its code, its session, and the slots that it takes."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc import AgentSpec, Call, Cast, CastMember, Decision, Member, OpenRTCError, RouteRequest, current_member
from openrtc.cast.asks import Asks
from openrtc.cast.company import Company, part_of
from openrtc.cast.current import current
from openrtc.cast.joining import hearing_of
from openrtc.cast.rooms import room_options, wanted_by, without_past
from openrtc.catalog.catalog import Catalog
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallError
from openrtc.observe.logs import CallFields
from openrtc.worker.admission import Admission, attach_decision
from openrtc.worker.live_call import LiveCall
from openrtc.worker.participant import participant_of

KINDS = rtc.ParticipantKind


def make() -> None: ...


def members() -> list[Member]:
    tim = AgentSpec(name="dispatcher", agent=make, display_name="Tim")
    return [Member(role="boss", agent=tim), Member(role="help", agent="support")]


def catalog(**options: Any) -> Catalog:
    desk = AgentSpec(name="desk", cast=Cast(members=members(), **options))
    return Catalog.of(specs=[AgentSpec(name="support", agent=make, max_sessions=1), desk])


def company(**options: Any) -> Company:
    found = catalog(**options).company(["desk"])
    assert found is not None
    return found


def test_the_ear_is_the_jobs_own_participant_and_others_see_role_and_name() -> None:
    decision = Decision.to("desk")
    assert participant_of(catalog(), decision, "AJ_1") == {
        "identity": "boss-AJ_1",
        "name": "Tim",
        "attributes": {"lk.agent.name": "dispatcher", "openrtc.role": "boss"},
    }
    assert participant_of(catalog(ear="help"), decision, "AJ_1")["identity"] == "help-AJ_1"
    assert participant_of(catalog(), Decision.to("support"), "AJ_1")["identity"] == "support-AJ_1"


async def test_a_call_of_a_cast_takes_a_slot_of_each_member_that_has_limits() -> None:
    job = proto.Job(id="AJ_1", room=models.Room(name="desk-1"))
    attach_decision(job, Decision.to("desk"))
    runtime: Any = SimpleNamespace(
        catalog=catalog(), session_limit=lambda name: {"support": 1}.get(name), events=EventStream()
    )
    admission = Admission(runtime, 10, lambda: [job])
    assert admission._why_agent_full("support") == "all 1 sessions of agent 'support' are taken"
    assert admission._why_agent_full("desk") is None


def test_outside_of_a_cast_both_ways_to_a_member_say_so() -> None:
    call = Call(job_id="j", agent_name="a", request=RouteRequest(room_name="r"), decision=Decision.to("a"))
    for reach in (current_member, lambda: call.member):
        with pytest.raises(OpenRTCError, match=r"one agent only.*declare a Cast"):
            reach()


async def test_tasks_of_a_member_inherit_who_they_belong_to() -> None:
    stage: Any = SimpleNamespace(roles=("tim", "chris"))

    async def work() -> str:
        current.set(CastMember("tim", stage))
        return await asyncio.create_task(inner())

    async def inner() -> str:
        return f"{current_member().role} of {current_member().roles}"

    assert await asyncio.create_task(work()) == "tim of ('tim', 'chris')"
    assert current.get() is None


def test_a_member_does_not_speak_to_itself() -> None:
    stage: Any = SimpleNamespace(send=lambda *arguments: pytest.fail("sent"))
    with pytest.raises(OpenRTCError, match="speaks to itself"):
        CastMember("tim", stage).send("tim", "x")


async def test_errors_and_log_lines_of_a_members_code_carry_its_role() -> None:
    events: list[Any] = []
    stream = EventStream()
    stream.subscribe(events.append)
    live = LiveCall(events=stream, job_id="j", room="r", agent="desk", distribution="d")
    current.set(CastMember("driver", SimpleNamespace()))
    live.error("tool", ValueError("x"), "")
    assert isinstance(events[0], CallError) and events[0].member == "driver"
    record = logging.makeLogRecord({})
    CallFields(lambda: "j", lambda job: {}, lambda: current_member().role).filter(record)
    assert vars(record)["role"] == "driver"


async def test_a_ring_of_questions_is_found_however_long_it_is() -> None:
    asks = Asks()
    asks.begin("a", "b")
    second = asks.begin("b", "c")
    with pytest.raises(OpenRTCError, match="'a' itself waits for an answer of 'c'"):
        asks.check("c", "a")
    asks.check("a", "c")
    second.set_result("done")
    await asyncio.sleep(0)
    asks.check("c", "a")


@pytest.mark.parametrize(
    ("options", "role", "hears"),
    [
        ({}, "boss", {"ann"}),
        ({}, "help", set[str]()),
        ({"hears": "audio"}, "help", {"boss-J", "help-J"}),
        ({"ends": "never"}, "boss", {"ann", "boss-J", "help-J"}),
        ({"ends": "never"}, "help", {"boss-J"}),
    ],
)
def test_each_member_subscribes_to_those_only_whom_it_has_to_hear(options: Any, role: str, hears: set[str]) -> None:
    people: Any = [
        SimpleNamespace(identity="ann", kind=KINDS.PARTICIPANT_KIND_STANDARD),
        SimpleNamespace(identity="boss-J", kind=KINDS.PARTICIPANT_KIND_AGENT),
        SimpleNamespace(identity="help-J", kind=KINDS.PARTICIPANT_KIND_AGENT),
        SimpleNamespace(identity="other-K", kind=KINDS.PARTICIPANT_KIND_AGENT),
        SimpleNamespace(identity="recorder", kind=KINDS.PARTICIPANT_KIND_EGRESS),
    ]
    is_boss, hears_members = role == "boss", options.get("hears") == "audio" and role != "boss"
    seat: Any = SimpleNamespace(role=role, listens=is_boss, in_jobs_room=is_boss, hears_members=hears_members)
    wanted = wanted_by(seat, company(**options), "J")
    assert {one.identity for one in people if wanted(one)} == hears
    seat.listens, seat.hears_members = not seat.listens, False
    assert ("ann" in {one.identity for one in people if wanted(one)}) is seat.listens, "the ear has moved"


def test_members_that_hear_voices_need_three_options_and_the_others_none() -> None:
    by_text, by_ear = company(), company(hears="audio")
    part = by_text.parts[1]
    assert (hearing_of(part, by_text), hearing_of(part, by_ear)) == ("nobody", "members")
    assert hearing_of(by_ear.parts[0], by_ear) == "people"
    seat: Any = SimpleNamespace(role="help", in_jobs_room=False, hears_members=True, part=part)
    options = room_options(seat, by_ear, "J")
    assert KINDS.PARTICIPANT_KIND_AGENT in options.participant_kinds  # type: ignore[operator]
    assert (options.participant_identity, options.close_on_disconnect) == ("boss-J", False)
    seat.hears_members = False
    options = room_options(seat, by_text, "J")
    assert (options.text_input, options.close_on_disconnect) == (False, False)
    audio = without_past(options).get_audio_input_options()
    assert audio is not None and not audio.pre_connect_audio


def test_a_member_of_the_catalogue_keeps_its_name() -> None:
    part = part_of(Member(role="help", agent="support"), catalog().agents)
    assert (part.role, part.spec.name) == ("help", "support")
