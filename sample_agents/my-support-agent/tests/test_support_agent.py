"""`SupportAgent`, built and asked as livekit-agents does it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution

import pytest
from livekit.agents import Agent

from my_support_agent import SupportAgent
from openrtc.testing import StartCall, ToolCall


def test_the_distribution_announces_the_class_itself() -> None:
    (entry,) = distribution("my-support-agent").entry_points
    assert (entry.group, entry.name) == ("openrtc.agents", "support")
    assert entry.load() is SupportAgent
    assert issubclass(SupportAgent, Agent)


@pytest.mark.process
def test_the_package_imports_nothing_of_openrtc() -> None:
    code = "import my_support_agent, sys; print([m for m in sys.modules if m.split('.')[0] == 'openrtc'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_it_finds_an_order_by_its_number(openrtc_call: StartCall) -> None:
    async with openrtc_call("support") as call:
        result = await call.run("Where is order number 7?")
        result.expect.next_event().is_function_call(name="order_status", arguments={"order_number": 7})
        result.expect.next_event().is_function_call_output(
            output="Order number 7 is on the truck, and arrives on Friday."
        )
        result.expect.next_event().is_message(role="assistant")
        result.expect.no_more_events()


async def test_it_knows_all_orders_the_opening_hours_and_how_to_return_a_parcel(openrtc_call: StartCall) -> None:
    asked = [ToolCall("order_status", order_number=number) for number in (5, 99)]
    asked += [ToolCall("opening_hours"), ToolCall("return_parcel")]
    async with openrtc_call("support", llm=[[*asked], "That is all."]) as call:
        result = await call.run("Tell me everything")
        outputs = [event.item.output for event in result.events if event.type == "function_call_output"]
        assert outputs[:2] == [
            "Order number 5 was delivered yesterday, and your neighbor has it.",
            "There is no order with the number 99.",
        ]
        assert "nine in the morning" in outputs[2] and "green label" in outputs[3]


async def test_every_tool_says_in_one_line_what_it_does(openrtc_call: StartCall) -> None:
    async with openrtc_call("support", starts=False) as call:
        lines = [str(tool["description"]).strip() for tool in call.tools.values()]
    assert sorted(lines) == ["Explain how to return a parcel.", "Tell the opening hours.", "Tell where an order is."]
