"""The `AgentSpec` of my-sales-agent and the agent that it builds."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution
from typing import Any

import pytest
from livekit.agents import AgentSession
from livekit.agents.llm import FunctionTool

import my_sales_agent
from my_sales_agent.desk import SalesAgent
from openrtc import AgentSpec, Call, Decision, RouteRequest


def a_call(job_metadata: str = "") -> Call:
    request = RouteRequest.parse(room_name="sales-1", job_metadata=job_metadata)
    return Call(job_id="AJ_1", agent_name="sales", request=request, decision=Decision.to("sales"))


def tool(name: str) -> FunctionTool[..., Any]:
    found = {tool.info.name: tool for tool in SalesAgent().tools if isinstance(tool, FunctionTool)}
    return found[name]


def test_the_distribution_announces_the_spec() -> None:
    (entry,) = distribution("my-sales-agent").entry_points
    assert (entry.group, entry.name) == ("openrtc.agents", "sales")
    assert entry.load() is my_sales_agent.agent


@pytest.mark.process
def test_importing_the_package_imports_no_livekit() -> None:
    code = "import my_sales_agent, sys; print([m for m in sys.modules if m.split('.')[0] == 'livekit'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_each_call_gets_its_own_agent_that_knows_the_company_from_the_metadata() -> None:
    first = await my_sales_agent.build(a_call('{"company": "Acme"}'))
    second = await my_sales_agent.build(a_call())
    assert (first.company, second.company) == ("Acme", "")
    assert "from Acme" in str(first.instructions)
    assert "from" not in str(second.instructions)


async def test_the_spec_is_still_the_attribute_after_an_agent_was_built() -> None:
    # A submodule named like the attribute would replace it.
    await my_sales_agent.build(a_call())
    assert isinstance(my_sales_agent.agent, AgentSpec)


async def test_the_session_options_are_arguments_that_livekit_takes() -> None:
    options = my_sales_agent.agent.session_options
    assert not callable(options)
    session: AgentSession[None] = AgentSession(**options)
    assert session.options.max_tool_steps == 2


@pytest.mark.parametrize(
    ("day", "answer"),
    [
        ("tuesday", "Your demonstration is booked for Tuesday at two in the afternoon."),
        (" Friday ", "Your demonstration is booked for Friday at two in the afternoon."),
        ("sunday", "We give demonstrations from Monday to Friday."),
    ],
)
async def test_a_demonstration_is_booked_on_working_days_only(day: str, answer: str) -> None:
    assert await tool("book_demonstration")(day=day) == answer


async def test_the_prices_and_the_trial_are_told() -> None:
    assert "thirty dollars a month" in await tool("price_list")()
    assert "two weeks" in await tool("free_trial")()
