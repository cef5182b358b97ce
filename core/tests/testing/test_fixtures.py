from __future__ import annotations

import asyncio
import importlib
import sys
from typing import Any

import pytest
from livekit.agents import Agent, function_tool

from openrtc.model.agents import AgentSpec, Cast, Member
from openrtc.testing import Install, Route, StartCall, ToolCall

Failed = pytest.fail.Exception

SHOP = """
from livekit.agents import Agent, function_tool

class Desk(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="Help.")

    @function_tool
    async def opening_hours(self) -> str:
        '''Tell the opening hours: when the shop is open.'''
        return "We are open from nine to five."

def fail(call):
    raise ValueError(f"no shop {call.request.job_metadata['shop']}")
"""


class Desk(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="Help.")

    @function_tool
    async def order_status(self, order_number: int) -> str:
        """Tell where an order is."""
        return f"Order {order_number} is on its way."


async def test_an_agent_that_is_not_installed_is_talked_to_with_a_script(openrtc_call: StartCall) -> None:
    script = [ToolCall("order_status", order_number=7), "It is on its way."]
    async with openrtc_call(Desk, llm=script, job_metadata={"company": "Acme"}) as call:
        result = await call.run("Where is order number 7?")
        result.expect.next_event().is_function_call(name="order_status", arguments={"order_number": 7})
        result.expect.next_event().is_function_call_output(output="Order 7 is on its way.")
        result.expect.next_event().is_message(role="assistant")
        result.expect.no_more_events()
        assert call.call.request.job_metadata == {"company": "Acme"}


def test_it_needs_no_plugin_for_async_tests(openrtc_call: StartCall) -> None:
    async def talk() -> str:
        async with openrtc_call(Desk) as call:
            await call.run("Where is order number 7?")
            return call.said[-1][1]

    assert asyncio.run(talk()) == "Order 7 is on its way."


async def test_a_cast_has_a_script_for_each_role(openrtc_call: StartCall) -> None:
    cast = Cast(members=[Member(role="host", agent=Desk), Member(role="guest", agent=Desk)], turn_budget=1)
    async with openrtc_call(cast, llm={"host": ["Good evening.", "Hello."], "guest": []}) as call:
        await call.run("Hello")
        assert call.said == [("host", "Good evening."), ("host", "Hello.")]
    with pytest.raises(Failed, match="there is no script for 'guest'"):
        async with openrtc_call(cast, llm={"host": ["Good evening."]}):
            pass


async def test_what_is_wrong_is_one_line(openrtc_call: StartCall) -> None:
    with pytest.raises(Failed) as unknown:
        async with openrtc_call("suport"):
            pass
    assert str(unknown.value) == 'there is no agent "suport" (did you mean "support"?)'
    with pytest.raises(Failed) as unforeseen:
        async with openrtc_call(Desk, llm=[]) as call:
            await call.run("Hello")
    assert "asked once more: for 'Hello' (add the answer to the script) [test_fixtures.py:" in str(unforeseen.value)
    with pytest.raises(Failed, match="answers that the call never asked for: 'Bye.'"):
        async with openrtc_call(Desk, llm=["Hello.", "Bye."]) as call:
            await call.run("Hello")
    for raised in (unknown, unforeseen):
        assert not raised.value.pytrace and raised.value.__suppress_context__


async def test_a_model_that_is_none_is_told(openrtc_call: StartCall) -> None:
    with pytest.raises(Failed, match="openrtc_call: llm='rule' is no model \\(did you mean \"rules\""):
        async with openrtc_call(Desk, llm="rule"):
            pass
    with pytest.raises(Failed, match="an answer of the script is 7 \\(write words"):
        async with openrtc_call(Desk, llm=[7]):
            pass


async def test_what_the_test_itself_finds_wrong_passes(openrtc_call: StartCall) -> None:
    with pytest.raises(AssertionError, match="Expected FunctionCallEvent"):
        async with openrtc_call(Desk, llm=["Hello.", "never asked for"]) as call:
            (await call.run("Hello")).expect.next_event().is_function_call()


def test_without_a_loop_of_asyncio_it_says_so(openrtc_call: StartCall) -> None:
    with pytest.raises(Failed, match="needs asyncio's loop"):
        openrtc_call(Desk).__aenter__().send(None)


async def test_an_installed_agent_is_found_in_this_test_only(
    openrtc_install: Install, openrtc_call: StartCall, openrtc_route: Route
) -> None:
    folder = openrtc_install(
        "flower-shop", {"flower_shop.py": SHOP}, agents={"flower": "flower_shop:Desk", "no": "flower_shop:fail"}
    )
    assert openrtc_route("flower-1").agents == ("flower",)
    async with openrtc_call("flower") as call:
        (await call.run("When are you open?")).expect.contains_function_call(name="opening_hours")
    with pytest.raises(Failed, match=r"^agent 'no' failed: ValueError: no shop 7 at .*flower_shop.py:14$"):
        async with openrtc_call("no", job_metadata={"shop": 7}):
            pass
    assert importlib.import_module("flower_shop").Desk
    with pytest.raises(Failed, match="Flower_Shop is installed already"):
        openrtc_install("Flower_Shop", {})
    with pytest.raises(Failed, match="'../x.py' leaves the folder"):
        openrtc_install("other-shop", {"../x.py": ""})
    with pytest.raises(Failed, match="flower_shop.py is another distribution's"):
        openrtc_install("other-shop", {"flower_shop.py": ""})
    with pytest.raises(Failed, match="'a b' is no name of a distribution"):
        openrtc_install("a b", {})
    _installed.append(str(folder))


_installed: list[str] = []


def test_afterwards_it_is_gone(openrtc_route: Route) -> None:
    assert openrtc_route("flower-1").agents != ("flower",)
    assert not [path for path in _installed if path in sys.path]
    assert "flower_shop" not in sys.modules


async def test_a_call_is_routed_with_literals(openrtc_route: Route) -> None:
    agents = [AgentSpec(name="desk", agent=Desk)]
    decision = openrtc_route("lobby", job_metadata={"agent": "desk"}, agents=agents)
    assert (decision.agents, decision.rule) == (("desk",), "job.agent")
    assert openrtc_route("desk-7", agents=agents).agents == ("desk",)


@pytest.mark.parametrize("name", ["Script", "RunWorker", "TestedWorker"])
def test_the_public_names_are_there(name: str) -> None:
    module: Any = importlib.import_module("openrtc.testing")
    assert getattr(module, name).__doc__
    assert name in module.__all__ and module.__all__ == sorted(module.__all__)
