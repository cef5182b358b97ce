"""Where the calls of an agent run: what its package asks for, what the operator says, what the worker gives."""

from __future__ import annotations

import pytest

from openrtc.catalog.catalog import Catalog
from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.isolation import choose_isolation
from openrtc.settings.config import Config, WorkerSettings


def blocks() -> None:
    """Build an agent that blocks."""


blocks.openrtc_isolation = "process"  # type: ignore[attr-defined]


def quick() -> None:
    """Build an agent."""


@pytest.mark.parametrize(
    ("wish", "forced", "worker", "expected"),
    [
        ("", {}, "coroutine", "coroutine"),
        ("process", {}, "coroutine", "process"),
        ("thread", {}, "coroutine", "thread"),
        ("", {}, "thread", "thread"),
        ("coroutine", {}, "process", "process"),
        ("process", {}, "thread", "process"),
        ("process", {"a": "coroutine"}, "process", "coroutine"),
        ("", {"a": "process"}, "coroutine", "process"),
        ("", {"b": "process"}, "coroutine", "coroutine"),
    ],
)
def test_the_operators_word_counts_and_a_package_may_only_ask_for_more(
    wish: str, forced: dict[str, str], worker: str, expected: str
) -> None:
    assert choose_isolation("a", wish, forced, worker) == expected


def test_a_class_or_factory_says_by_an_attribute_that_it_blocks() -> None:
    assert AgentSpec(agent=blocks).isolation == "process"
    assert AgentSpec(agent=blocks, isolation="thread").isolation == "thread"
    assert AgentSpec(agent=quick).isolation == ""


def test_a_wrong_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(OpenRTCError, match="isolation='proces'.*did you mean \"process\""):
        AgentSpec(agent=quick, isolation="proces")


def test_the_catalogue_knows_where_each_agent_runs() -> None:
    catalog = Catalog.of(specs=[AgentSpec(name="slow", agent=blocks), AgentSpec(name="quick", agent=quick)])
    config = Config(isolation={"quick": "thread"})
    assert [catalog.isolation(name, config) for name in catalog.names] == ["process", "thread"]
    config = Config(isolation={"slow": "coroutine"}, worker=WorkerSettings(isolation="process"))
    assert [catalog.isolation(name, config) for name in catalog.names] == ["coroutine", "process"]
