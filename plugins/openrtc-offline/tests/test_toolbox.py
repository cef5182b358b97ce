"""An agent's function tools as plain values."""

from __future__ import annotations

import enum
from typing import Any, Literal

import pytest
from livekit.agents import Agent, RunContext, function_tool
from livekit.agents.llm import Toolset

from openrtc_offline.toolbox import Parameter, ToolView, describe_tools, split_identifier


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Shop(Agent):
    @function_tool
    async def buy(
        self, context: RunContext[Any], size: Size, color: Literal["red", "blue"] | None = None, count: int = 1
    ) -> str:
        """Buy a shirt. It is sent at once.

        Args:
            context: The call.
            size: How large it is.
            color: Any but green.
            count: How many.
        """
        return f"{size} {color} {count}"

    @function_tool(
        raw_schema={
            "name": "lookUpOrder",
            "description": "Look up an order.",
            "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        }
    )
    async def look_up(self, raw_arguments: dict[str, object]) -> str:
        return str(raw_arguments)


def test_tools_are_read_with_the_types_and_choices_of_their_arguments() -> None:
    found = {view.name: view for view in describe_tools(Shop(instructions="").tools)}
    buy = found["buy"]
    assert buy.summary == "Buy a shirt" and "Args" not in buy.description
    assert buy.parameters == (
        Parameter("size", "string", True, "How large it is.", ("small", "large")),
        Parameter("color", "string", False, "Any but green.", ("red", "blue")),
        Parameter("count", "integer", False, "How many."),
    )


def test_a_raw_function_tool_is_read_from_its_schema() -> None:
    found = {view.name: view for view in describe_tools(Shop(instructions="").tools)}
    assert found["lookUpOrder"] == ToolView("lookUpOrder", "Look up an order.", (Parameter("id"),))
    assert found["lookUpOrder"].spoken_name == "look up order"


def test_an_argument_without_a_type_is_told_by_its_name() -> None:
    @function_tool
    async def open_door(which):  # type: ignore[no-untyped-def]  # as somebody may write it
        """Open a door."""

    with pytest.raises(TypeError, match="argument which of the tool open_door has no type: write which: str"):
        describe_tools([open_door])


def test_a_toolset_is_looked_into() -> None:
    @function_tool
    async def open_door() -> str:
        """Open the door."""
        return "open"

    assert [view.name for view in describe_tools([Toolset(id="doors", tools=[open_door])])] == ["open_door"]


def test_an_identifier_is_split_into_words() -> None:
    assert split_identifier("getHTTPStatus2") == "get httpstatus 2"
    assert split_identifier("my-support_agent") == "my support agent"
