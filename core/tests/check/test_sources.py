"""What is seen in an agent's source: loops without an end, what calls share, tools and what a caller may say."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from openrtc.check.card import Finding, RuleVerdict
from openrtc.check.loading import judge_sources, list_roots
from openrtc.check.tool_sources import judge_tool_sources

if TYPE_CHECKING:
    from conftest import Site

HEAD = """
import asyncio
from livekit.agents import Agent, AgentTask, JobContext, function_tool
from livekit.agents.llm import ToolError
from openrtc import AgentSpec

OWNER = {}

class Digit(AgentTask[str]):
    '''Asks for a digit.'''

class Other:
    def __await__(self):
        yield

class Desk(Agent):
    '''Answers.'''
    def __init__(self):
        super().__init__(instructions="Help.")
    def say(self, error):
        self.session.say(str(error))
"""
LOOP = """
async def on_enter(self):
    while True:
        try:
            await Digit()
        except ToolError as error:
            self.say(error)
            continue
        return
"""


def judge(site: Site, body: str, value: str = "pkg_a:Desk") -> list[Finding]:
    """Return what is found in the source of an agent."""
    agent = site.agent(HEAD + textwrap.indent(textwrap.dedent(body), "    "), value)
    assert agent.spec is not None, agent.reason
    return [*judge_sources([agent]), *judge_tool_sources([(agent, list_roots(agent.spec))])]


def find(findings: list[Finding], rule: str) -> Finding:
    """Return the worst that was found of a rule."""
    found = [one for one in findings if one.rule == rule]
    return next((one for one in found if one.verdict is RuleVerdict.FAILED), found[0])


def test_a_loop_that_tries_a_task_for_ever_is_told_with_its_line(site: Site) -> None:
    found = find(judge(site, LOOP), "ends")
    assert found.verdict is RuleVerdict.FAILED
    assert "it tries Digit for ever" in found.what
    assert found.location.endswith("pkg_a.py:24")


@pytest.mark.parametrize(
    "body",
    [
        LOOP.replace("continue", "return"),
        LOOP.replace("continue", "raise"),
        LOOP.replace("continue", "await asyncio.sleep(1)"),
        LOOP.replace("while True", "while self.tries"),
        LOOP.replace("Digit()", "Other()"),
        LOOP.replace("ToolError", "ValueError"),
        LOOP.replace("continue", "pass"),  # what follows leaves the loop
        LOOP.replace("try:", "await asyncio.sleep(1)\n        try:"),
        LOOP.replace("continue", "if error: break"),
    ],
)
def test_a_loop_that_waits_or_is_left_is_none(site: Site, body: str) -> None:
    assert find(judge(site, body), "ends").verdict is RuleVerdict.PASSED


def test_what_a_call_writes_into_a_module_is_told(site: Site) -> None:
    body = "async def on_enter(self):\n    OWNER['name'] = self.session.userdata"
    found = find(judge(site, body), "shared-state")
    assert (found.verdict, "its calls write OWNER" in found.what) == (RuleVerdict.FAILED, True)
    assert found.location.endswith("pkg_a.py:23")


def test_a_package_that_asks_for_a_process_for_each_call_shares_nothing(site: Site) -> None:
    body = "async def on_enter(self):\n    OWNER['name'] = self.session.userdata\nopenrtc_isolation = 'process'"
    assert find(judge(site, body), "shared-state").verdict is RuleVerdict.PASSED


def test_an_entrypoint_that_sets_a_tracer_provider_for_all_is_told(site: Site) -> None:
    source = (
        "from opentelemetry import trace\nasync def entrypoint(ctx: JobContext):\n    trace.set_tracer_provider(ctx)\n"
    )
    found = find(list(judge_sources([site.agent(HEAD + source, "pkg_a:entrypoint")])), "shared-state")
    assert "its calls call set_tracer_provider(), which sets something for the whole process" in found.what


@pytest.mark.parametrize(
    ("body", "verdict", "what"),
    [
        ("@function_tool\nasync def price(self, plan: str):\n    '''Tell the price.'''", RuleVerdict.PASSED, "price"),
        ("@function_tool(description='Tell it.')\nasync def price(self):\n    ...", RuleVerdict.PASSED, "price"),
        ("@function_tool\nasync def price(self, plan: str): ...", RuleVerdict.FAILED, "price has no description"),
        (
            "@function_tool(raw_schema={'name': 'a', 'parameters': {}})\nasync def price(self, raw_arguments): ...",
            RuleVerdict.PASSED,
            "price",
        ),
        ("async def price(self, plan): ...", RuleVerdict.NOTHING, "it has no tools"),
    ],
)
def test_tools_are_found_with_their_types_and_descriptions(
    site: Site, body: str, verdict: RuleVerdict, what: str
) -> None:
    found = find(judge(site, body), "typed-tools")
    assert found.verdict is verdict
    assert what in found.what


def test_a_tool_without_a_type_that_a_factory_hands_over_is_told(site: Site) -> None:
    source = (
        "@function_tool\nasync def price(plan):\n    '''Tell it.'''\ndef build():\n    return Agent(tools=[price])\n"
    )
    agent = site.agent(HEAD + source, "pkg_a:build")
    assert agent.spec is not None
    found = find(list(judge_tool_sources([(agent, list_roots(agent.spec))])), "typed-tools")
    assert (found.verdict, "no type for plan" in found.what) == (RuleVerdict.FAILED, True)


def test_what_a_caller_may_say_is_told_by_examples_or_by_tools(site: Site) -> None:
    tool = "@function_tool\nasync def price(self):\n    '''Tell the price.'''"
    assert find(judge(site, tool), "examples").verdict is RuleVerdict.PASSED


@pytest.mark.parametrize(("given", "verdict"), [("('hello',)", RuleVerdict.PASSED), ("()", RuleVerdict.FAILED)])
def test_examples_of_a_spec_count(site: Site, given: str, verdict: RuleVerdict) -> None:
    agent = site.agent(f"{HEAD}agent = AgentSpec(agent=Desk, examples={given})\n", "pkg_a:agent")
    assert agent.spec is not None
    assert find(list(judge_tool_sources([(agent, list_roots(agent.spec))])), "examples").verdict is verdict
