"""Tools are described and their arguments checked as livekit-agents does it; the model of arguments is built once."""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from livekit.agents import Agent, RunContext, function_tool
from livekit.agents.llm import FunctionTool, utils
from pydantic import Field, ValidationError

from openrtc.speedups import schemas
from openrtc.upstream.digest import find_changes


class Desk(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="x")

    @function_tool
    async def order_status(self, context: RunContext[Any], order: str, detail: int = 3) -> str:
        """Return the status of an order.

        Args:
            context: Of the call.
            order: Its number.
            detail: How much to say.
        """
        return order * detail

    @function_tool
    async def book(self, day: Annotated[str, Field(pattern="^[a-z]+day$")], people: list[str] | None = None) -> str:
        return day


@pytest.fixture(autouse=True)
def _upstream_again() -> Iterator[None]:
    yield
    schemas.uninstall()


def described(agent: Agent) -> list[Any]:
    tools = [tool for tool in agent.tools if isinstance(tool, FunctionTool)]
    return [
        build(tool) for tool in tools for build in (utils.build_strict_openai_schema, utils.build_legacy_openai_schema)
    ]


def test_this_way_to_build_models_is_known() -> None:
    assert find_changes("schemas") == {}


def test_tools_are_described_as_by_livekit_agents_each_time() -> None:
    wanted = described(Desk())
    assert len(wanted) == 4
    schemas.install()
    agent = Desk()
    assert described(agent) == described(agent) == wanted == described(Desk())


def test_the_model_of_a_tool_is_built_once_and_anew_for_another_function(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    build = schemas._build_upstream_model

    def noted(func: Any) -> Any:
        built.append(func)
        return build(func)

    monkeypatch.setattr(schemas, "_build_upstream_model", noted)
    schemas.install()
    agent = Desk()
    for _ in range(3):
        described(agent)
    assert len(built) == 2
    for tool in agent.tools:
        replaced: Any = functools.wraps(tool._func)(lambda *args, **kwargs: None)  # type: ignore[union-attr]
        tool._func = replaced  # type: ignore[union-attr]  # as a package may do
    described(agent)
    assert len(built) == 4


def test_arguments_are_checked_as_by_livekit_agents() -> None:
    schemas.install()
    book: Any = next(tool for tool in Desk().tools if tool.id == "book")
    for _ in range(2):
        assert utils.function_arguments_to_pydantic_model(book).model_validate({"day": "monday"}) is not None
        with pytest.raises(ValidationError):
            utils.function_arguments_to_pydantic_model(book).model_validate({"day": "tomorrow"})


def test_a_plain_function_is_left_to_livekit_agents() -> None:
    async def plain(number: int) -> int:
        return number

    schemas.install()
    first, second = (utils.function_arguments_to_pydantic_model(plain) for _ in range(2))
    assert first is not second and list(first.model_fields) == ["number"]


def test_an_agent_that_is_gone_leaves_nothing_behind() -> None:
    schemas.install()
    agent = Desk()
    described(agent)
    gone = weakref.ref(agent.tools[0])
    del agent
    gc.collect()
    assert gone() is None
