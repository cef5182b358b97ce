"""How the code of a member of a cast finds that member, and what it may not do."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from openrtc import Call, CastMember, Decision, OpenRTCError, RouteRequest, current_member
from openrtc.model.cast_member import active_member
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallError
from openrtc.observe.logs import CallFields
from openrtc.runtime.live_call import LiveCall


def test_outside_of_a_cast_both_ways_to_a_member_say_so() -> None:
    call = Call(job_id="j", agent_name="a", request=RouteRequest(room_name="r"), decision=Decision.to("a"))
    for reach in (current_member, lambda: call.member):
        with pytest.raises(OpenRTCError, match=r"one agent only.*declare a Cast"):
            reach()


async def test_tasks_of_a_member_inherit_who_they_belong_to() -> None:
    cast: Any = SimpleNamespace(roles=("tim", "chris"))

    async def work() -> str:
        active_member.set(CastMember("tim", cast))
        return await asyncio.create_task(inner())

    async def inner() -> str:
        return f"{current_member().role} of {current_member().roles}"

    assert await asyncio.create_task(work()) == "tim of ('tim', 'chris')"
    assert active_member.get() is None


def test_a_member_does_not_speak_to_itself() -> None:
    cast: Any = SimpleNamespace(send=lambda *arguments: pytest.fail("sent"))
    with pytest.raises(OpenRTCError, match="speaks to itself"):
        CastMember("tim", cast).send("tim", "x")


async def test_errors_and_log_lines_of_a_members_code_carry_its_role() -> None:
    events: list[Any] = []
    stream = EventStream()
    stream.subscribe(events.append)
    live = LiveCall(events=stream, job_id="j", room="r", agent="desk", distribution="d")
    active_member.set(CastMember("driver", SimpleNamespace()))
    live.emit_error("tool", ValueError("x"), "")
    assert isinstance(events[0], CallError) and events[0].member == "driver"
    record = logging.makeLogRecord({})
    CallFields(lambda: "j", lambda job: {}, lambda: current_member().role).filter(record)
    assert vars(record)["role"] == "driver"
