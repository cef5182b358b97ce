"""The `AgentSpec` of my-sales-agent and the agent that it builds."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution

import pytest

import my_sales_agent
from my_sales_agent.desk import SalesAgent
from openrtc import AgentSpec
from openrtc.testing import StartCall, ToolCall


def test_the_distribution_announces_the_spec() -> None:
    (entry,) = distribution("my-sales-agent").entry_points
    assert (entry.group, entry.name) == ("openrtc.agents", "sales")
    assert entry.load() is my_sales_agent.agent


@pytest.mark.process
def test_importing_the_package_imports_no_livekit() -> None:
    code = "import my_sales_agent, sys; print([m for m in sys.modules if m.split('.')[0] == 'livekit'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_each_call_gets_its_own_agent_that_knows_the_company_from_the_metadata(openrtc_call: StartCall) -> None:
    async with openrtc_call("sales", job_metadata={"company": "Acme"}, starts=False) as call:
        assert isinstance(call.agent, SalesAgent)
        assert call.agent.company == "Acme" and "from Acme" in str(call.agent.instructions)
        assert call.session.options.max_tool_steps == 2
    async with openrtc_call("sales", starts=False) as call:
        assert isinstance(call.agent, SalesAgent)
        assert call.agent.company == "" and "from" not in str(call.agent.instructions)
    # A submodule named like the attribute would replace it.
    assert isinstance(my_sales_agent.agent, AgentSpec)


async def test_it_greets_and_tells_the_prices_and_the_trial(openrtc_call: StartCall) -> None:
    async with openrtc_call("sales") as call:
        assert call.said == [("", "Hello, this is the sales desk.")]
        result = await call.run("What are the prices of the plans?")
        result.expect.next_event().is_function_call(name="price_list")
        assert "thirty dollars a month" in call.said[-1][1]
        result = await call.run("Tell me about the free trial")
        result.expect.next_event().is_function_call(name="free_trial")
        assert "two weeks" in call.said[-1][1]


async def test_a_demonstration_is_booked_on_working_days_only(openrtc_call: StartCall) -> None:
    days = ["tuesday", " Friday ", "sunday"]
    script = [[ToolCall("book_demonstration", day=day) for day in days], "Done."]
    async with openrtc_call("sales", llm=script) as call:
        result = await call.run("Book three")
        assert [event.item.output for event in result.events if event.type == "function_call_output"] == [
            "Your demonstration is booked for Tuesday at two in the afternoon.",
            "Your demonstration is booked for Friday at two in the afternoon.",
            "We give demonstrations from Monday to Friday.",
        ]
