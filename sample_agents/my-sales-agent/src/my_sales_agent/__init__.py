"""A sales desk: an agent with options, declared as an `AgentSpec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openrtc import AgentSpec

if TYPE_CHECKING:
    from my_sales_agent.desk import SalesAgent
    from openrtc import Call

__all__ = ["agent"]


async def build(call: Call) -> SalesAgent:
    """Build the agent for one call; a ``company`` in the dispatch's metadata is whom it talks to."""
    from my_sales_agent.desk import SalesAgent

    return SalesAgent(company=str((call.request.job_metadata or {}).get("company", "")))


agent = AgentSpec(
    agent=build,
    display_name="Sales",
    summary="Tells prices and books demonstrations.",
    greeting="Hello, this is the sales desk.",
    session_options={"max_tool_steps": 2, "user_away_timeout": 30.0},
    examples=(
        "what are the prices",
        "how much is the large plan",
        "please book a demonstration on tuesday",
        "can you book a demonstration on friday",
        "what does the free trial include",
    ),
)
