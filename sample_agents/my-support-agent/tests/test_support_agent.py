"""`SupportAgent`, built and asked as livekit-agents does it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution
from typing import Any

import pytest
from livekit.agents import Agent
from livekit.agents.llm import FunctionTool

from my_support_agent import SupportAgent


def tool(name: str) -> FunctionTool[..., Any]:
    found = {tool.info.name: tool for tool in SupportAgent().tools if isinstance(tool, FunctionTool)}
    return found[name]


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


def test_every_tool_says_in_one_line_what_it_does() -> None:
    lines = [str(tool.info.description).strip() for tool in SupportAgent().tools if isinstance(tool, FunctionTool)]
    assert sorted(lines) == ["Explain how to return a parcel.", "Tell the opening hours.", "Tell where an order is."]


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        (7, "Order number 7 is on the truck, and arrives on Friday."),
        (5, "Order number 5 was delivered yesterday, and your neighbor has it."),
        (99, "There is no order with the number 99."),
    ],
)
async def test_an_order_is_found_by_its_number(number: int, answer: str) -> None:
    assert await tool("order_status")(order_number=number) == answer


async def test_the_opening_hours_and_the_return_of_a_parcel_are_explained() -> None:
    assert "nine in the morning" in await tool("opening_hours")()
    assert "green label" in await tool("return_parcel")()
