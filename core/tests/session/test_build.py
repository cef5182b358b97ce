from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import Agent, function_tool

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.builders import check_builder
from openrtc.model.call import Call
from openrtc.model.decision import Decision
from openrtc.model.request import RouteRequest
from openrtc.session.build import build_agent

CALL = Call(job_id="j", agent_name="a", request=RouteRequest(room_name="room-1"), decision=Decision.to("a"))


class Bot(Agent):
    def __init__(self, room: str = "") -> None:
        super().__init__(instructions=room)


class RoomBot(Agent):
    def __init__(self, call: Call) -> None:
        super().__init__(instructions=call.room_name)


async def built(builder: Any) -> str:
    agent = await build_agent(AgentSpec(name="a", agent=builder), CALL)
    return str(agent.instructions)


async def test_a_class_is_built_anew_for_every_call() -> None:
    spec = AgentSpec(name="a", agent=Bot)
    assert await build_agent(spec, CALL) is not await build_agent(spec, CALL)


async def test_the_call_is_handed_to_whatever_takes_one_argument_or_one_named_call() -> None:
    async def asynchronous(call: Call) -> Agent:
        return Bot(call.room_name)

    assert await built(RoomBot) == "room-1"
    assert await built(lambda anything: Bot(anything.room_name)) == "room-1"
    assert await built(lambda x="", call=None: Bot(call.room_name)) == "room-1"
    assert await built(lambda *, call: Bot(call.room_name)) == "room-1"
    assert await built(asynchronous) == "room-1"
    assert await built(lambda: Bot("none")) == "none"
    assert await built(lambda x="default": Bot(x)) == "default"
    assert await built(lambda *args, **kwargs: Bot(str(len(args) + len(kwargs)))) == "0"


async def test_a_given_tool_without_types_is_told_before_a_model_asks_for_it() -> None:
    @function_tool
    async def look_up(number):  # type: ignore[no-untyped-def]  # as somebody may write it
        """Look it up."""

    with pytest.raises(OpenRTCError, match="tool look_up cannot be told to a model: its argument number has no type"):
        await built(lambda: Agent(instructions="", tools=[look_up]))


@pytest.mark.parametrize("value", [None, "text", Bot, 3])
async def test_anything_but_an_agent_is_refused_with_the_factorys_name(value: object) -> None:
    def make() -> object:
        return value

    with pytest.raises(OpenRTCError, match=r'agent "a", .*make: returned .*, not an Agent'):
        await built(make)


async def test_a_factory_that_returns_one_agent_twice_is_refused() -> None:
    shared = Bot()
    spec = AgentSpec(name="a", agent=lambda: shared)
    await build_agent(spec, CALL)
    with pytest.raises(OpenRTCError, match="two calls would share it"):
        await build_agent(spec, CALL)


async def test_what_a_factory_raises_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        await built(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        (Bot(), "an Agent instance"),
        (dict, "is no Agent"),
        ("text", "no Agent class, factory or AgentSpec"),
        (lambda a, b: None, "needs the arguments a, b"),
        (lambda call, b: None, "needs the arguments call, b"),
        (lambda *, greeting: None, "needs the arguments greeting"),
        (Agent, "needs the arguments instructions"),
    ],
)
def test_what_cannot_build_agents_is_refused_beforehand(builder: object, words: str) -> None:
    with pytest.raises(OpenRTCError, match=words):
        check_builder(builder)
