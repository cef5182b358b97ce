"""Tools are described and their arguments checked as livekit-agents does it; the model of arguments is built once."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from livekit.agents import Agent, RunContext, function_tool
from livekit.agents.llm import FunctionTool, utils
from pydantic import Field, ValidationError

import openrtc.worker.upstream.schemas as upstream_schemas
from openrtc.worker.upstream.jobs import replace_tool_functions


class Desk(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="x")

    @function_tool
    async def order_status(self, context: RunContext[Any], order: str, detail: int = 3) -> str:
        """Tell the status of an order.

        Args:
            context: Of the call.
            order: Its number.
            detail: How much to tell.
        """
        return order * detail

    @function_tool
    async def book(self, day: Annotated[str, Field(pattern="^[a-z]+day$")], people: list[str] | None = None) -> str:
        return day


@pytest.fixture(autouse=True)
def _upstream_again() -> Iterator[None]:
    yield
    upstream_schemas.build_as_upstream()


def described(agent: Agent) -> list[Any]:
    tools = [tool for tool in agent.tools if isinstance(tool, FunctionTool)]
    return [
        build(tool) for tool in tools for build in (utils.build_strict_openai_schema, utils.build_legacy_openai_schema)
    ]


def test_this_way_to_build_models_is_known() -> None:
    assert upstream_schemas.why_schemas_not_kept() is None


def test_tools_are_described_as_by_livekit_agents_each_time() -> None:
    wanted = described(Desk())
    assert len(wanted) == 4
    upstream_schemas.keep_schemas()
    agent = Desk()
    assert described(agent) == described(agent) == wanted == described(Desk())


def test_the_model_of_a_tool_is_built_once_and_anew_for_another_function(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    build = upstream_schemas._build_as_upstream

    def noted(func: Any) -> Any:
        built.append(func)
        return build(func)

    monkeypatch.setattr(upstream_schemas, "_build_as_upstream", noted)
    upstream_schemas.keep_schemas()
    agent = Desk()
    for _ in range(3):
        described(agent)
    assert len(built) == 2
    replace_tool_functions(agent, lambda function: lambda *args, **kwargs: function(*args, **kwargs))
    described(agent)
    assert len(built) == 4


def test_arguments_are_checked_as_by_livekit_agents() -> None:
    upstream_schemas.keep_schemas()
    book: Any = next(tool for tool in Desk().tools if tool.id == "book")
    for _ in range(2):
        assert utils.function_arguments_to_pydantic_model(book).model_validate({"day": "monday"}) is not None
        with pytest.raises(ValidationError):
            utils.function_arguments_to_pydantic_model(book).model_validate({"day": "tomorrow"})


def test_a_plain_function_is_left_to_livekit_agents() -> None:
    async def plain(number: int) -> int:
        return number

    upstream_schemas.keep_schemas()
    first, second = (utils.function_arguments_to_pydantic_model(plain) for _ in range(2))
    assert first is not second and list(first.model_fields) == ["number"]


def test_an_agent_that_is_gone_leaves_nothing_behind() -> None:
    upstream_schemas.keep_schemas()
    agent = Desk()
    described(agent)
    gone = weakref.ref(agent.tools[0])
    del agent
    gc.collect()
    assert gone() is None
