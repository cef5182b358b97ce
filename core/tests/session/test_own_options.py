"""The options of a session that functions make of its call."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import room_io

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.call import Call
from openrtc.model.decision import Decision
from openrtc.model.request import RouteRequest
from openrtc.session.own_options import make_own_options, settle_options

CALL = Call(job_id="j", agent_name="a", request=RouteRequest(room_name="room-7"), decision=Decision.to("a"))
ROOM = room_io.RoomOptions(participant_identity="ann")


def build() -> Any:
    raise NotImplementedError


async def of_call(call: Call) -> dict[str, str]:
    return {"room": call.request.room_name}


async def settle(**options: Any) -> AgentSpec:
    return await settle_options(AgentSpec(name="a", agent=build, **options), CALL)


async def made_userdata(**options: Any) -> Any:
    spec = await settle(**options)
    return (await make_own_options(spec.fixed_session_options, spec.name)).get("userdata")


@pytest.mark.parametrize(
    ("userdata", "expected"),
    [(of_call, {"room": "room-7"}), (dict, {}), (lambda *, call: call.job_id, "j"), ("text", "text"), (None, None)],
)
async def test_userdata_is_made_of_the_call(userdata: Any, expected: Any) -> None:
    assert await made_userdata(userdata=userdata) == expected


async def test_a_function_of_the_call_makes_all_options_of_its_session() -> None:
    spec = await settle(session_options=lambda call: {"max_tool_steps": len(call.job_id)}, userdata=dict)
    assert spec.fixed_session_options["max_tool_steps"] == 1
    assert (await make_own_options(spec.fixed_session_options, spec.name))["userdata"] == {}


@pytest.mark.parametrize("options", [ROOM, lambda: ROOM, lambda call: ROOM, None])
async def test_room_options_are_given_or_made_of_the_call(options: Any) -> None:
    assert (await settle(room_options=options)).room_options is (None if options is None else ROOM)


async def test_one_userdata_for_two_calls_is_found_also_in_options_that_are_made() -> None:
    shared: dict[str, str] = {}
    options: dict[str, Any] = {"session_options": lambda: {"userdata": shared}}
    await made_userdata(**options)
    with pytest.raises(OpenRTCError, match="the option gave the same dict as userdata of two calls"):
        await made_userdata(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"session_options": lambda: 3}, r'agent "a": session_options .* returned a int, not a Mapping'),
        ({"room_options": dict}, r'agent "a": room_options .* returned a dict, not a RoomOptions'),
    ],
)
async def test_what_is_made_and_is_no_options_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OpenRTCError, match=message):
        await settle(**options)
