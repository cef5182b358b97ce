from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from openrtc.model.status import State

if TYPE_CHECKING:
    from conftest import Site

CheckBroken = Callable[..., None]

AGENT = """
from livekit.agents import Agent

class Support(Agent):
    '''Answers questions about orders.

    At length.
    '''

    def __init__(self):
        super().__init__(instructions="Help.")
"""


def test_a_class_becomes_a_spec_under_the_entry_points_name(site: Site) -> None:
    found = site.agent(AGENT)
    assert (found.name, found.state, found.reason) == ("helpdesk", State.READY, None)
    assert found.spec
    assert found.spec.name == "helpdesk"
    assert found.spec.summary == "Answers questions about orders."
    assert found.load_ms > 0


def test_a_class_without_docstring_has_the_packages_summary(site: Site) -> None:
    found = site.agent(re.sub("'''.*'''", "", AGENT, flags=re.DOTALL))
    assert found.spec
    assert found.spec.summary == "Of the package"


@pytest.mark.parametrize(
    "builder",
    [
        "def make(): return Support()",
        "def make(call): return Support()",
        "def make(anything): return Support()",
        "def make(*, call): return Support()",
        "def make(call=None, greeting='hi'): return Support()",
        "async def make(call): return Support()",
        "import functools\nmake = functools.partial(lambda greeting, call: Support(), 'hi')",
        "class Maker:\n    def __call__(self, call): return Support()\nmake = Maker()",
    ],
)
def test_every_kind_of_factory_is_an_agent(site: Site, builder: str) -> None:
    found = site.agent(f"{AGENT}\n{builder}\n", "pkg_a:make")
    assert found.state is State.READY, found.reason


def test_a_spec_keeps_its_settings_and_takes_the_entry_points_name(site: Site) -> None:
    spec = "AgentSpec(agent=Support, name='x', greeting='Hi', stt='offline:')"
    found = site.agent(f"{AGENT}\nfrom openrtc import AgentSpec\nspec = {spec}\n", "pkg_a:spec")
    assert found.spec
    assert (found.spec.name, found.spec.greeting, found.spec.stt) == ("helpdesk", "Hi", "offline:")
    assert found.spec.summary == "Answers questions about orders."


CAST = """
from openrtc import AgentSpec, Cast, Member

def build(): ...

desk = Cast(members=[Member(role="a", agent=build), Member(role="b", agent="support")])
named = AgentSpec(cast=desk, summary="Both.")
"""


@pytest.mark.parametrize(("target", "summary"), [("desk", "A cast of a, b."), ("named", "Both.")])
def test_a_cast_is_an_agent_too(site: Site, target: str, summary: str) -> None:
    found = site.agent(CAST, value=f"pkg_a:{target}")
    assert found.spec and found.spec.cast
    assert (found.name, found.state, found.shape, found.members) == ("helpdesk", State.READY, "cast", ("support",))
    assert found.spec.summary == summary


def test_a_cast_that_cannot_be_is_one_line(site: Site, check_broken: CheckBroken) -> None:
    source = CAST.replace('role="b"', 'role="a"')
    check_broken(site.agent(source, value="pkg_a:desk"), "the role 'a' is given twice", "rename one of them")


def test_a_spec_with_a_plain_entrypoint_is_an_agent(site: Site) -> None:
    source = (
        "from openrtc import AgentSpec\nasync def run(ctx): ...\nspec = AgentSpec(entrypoint=run, summary='Plain')\n"
    )
    found = site.agent(source, "pkg_a:spec")
    assert found.spec
    assert (found.state, found.spec.summary) == (State.READY, "Plain")


def test_an_agent_class_that_takes_the_call_is_an_agent(site: Site) -> None:
    source = AGENT.replace("def __init__(self)", "def __init__(self, call)")
    assert site.agent(source).state is State.READY


@pytest.mark.parametrize("parameter", ["context: Call", "context: 'openrtc.Call'", "_", "*, call"])
def test_the_call_may_have_another_name_where_its_type_says_so(site: Site, parameter: str) -> None:
    source = AGENT.replace("def __init__(self)", f"def __init__(self, {parameter})")
    assert site.agent(f"from openrtc import Call\n{source}").state is State.READY


@pytest.mark.parametrize("parameter", ["shop", "shop: str", "shop: 'my.Shop'"])
def test_an_argument_that_is_meant_for_something_else_gets_no_call(
    site: Site, check_broken: CheckBroken, parameter: str
) -> None:
    source = AGENT.replace("def __init__(self)", f"def __init__(self, {parameter})")
    check_broken(site.agent(source), "pkg_a:Support needs the arguments shop", "or one Call, named call")


def test_a_tool_whose_argument_has_no_type_is_told_at_its_line(site: Site, check_broken: CheckBroken) -> None:
    tool = '\n    @function_tool\n    async def order_status(self, number): "Look it up."\n'
    source = f"from livekit.agents import function_tool\n{AGENT}{tool}"
    line = source.splitlines().index("    @function_tool") + 1
    reason = "the tool order_status cannot be told to a model: its argument number has no type"
    check_broken(site.agent(source), reason, "write number: str", f"pkg_a.py:{line}")


def test_a_tool_with_a_schema_of_its_own_needs_no_types(site: Site) -> None:
    schema = "{'name': 'look_up', 'parameters': {'type': 'object', 'properties': {}}}"
    tool = f"\n    @function_tool(raw_schema={schema})\n    async def look_up(self, raw_arguments): ...\n"
    assert site.agent(f"from livekit.agents import function_tool\n{AGENT}{tool}").state is State.READY


def test_a_name_that_is_not_there_is_compared_with_what_the_module_defines(
    site: Site, check_broken: CheckBroken
) -> None:
    check_broken(site.agent(AGENT, "pkg_a:Agents"), 'no attribute "Agents"', "there are Support")


@pytest.mark.parametrize(
    ("source", "value", "reason", "fix", "place"),
    [
        (
            f"{AGENT}\nbot = Support()",
            "pkg_a:bot",
            "an Agent instance: all calls would share it",
            "pkg_a:Support or a factory",
            None,
        ),
        (
            "class Support: ...",
            "pkg_a:Support",
            "class pkg_a:Support is no Agent",
            "derive it from livekit.agents.Agent",
            "pkg_a.py:1",
        ),
        (AGENT, "pkg_a:Suport", 'pkg_a has no attribute "Suport"', 'did you mean "Support"', "pkg_a.py"),
        (AGENT, "pkg_a:Support.deeper", 'no attribute "deeper"', "define it, or correct helpdesk", "pkg_a.py"),
        ("Support = 3", "pkg_a:Support", "no Agent class, factory or AgentSpec", "AgentSpec", None),
        ("Support = None", "pkg_a:Support", "no Agent class, factory or AgentSpec", "AgentSpec", None),
        ("import json as Support", "pkg_a:Support", "is a module, not an agent", "helpdesk = json:ClassName", None),
        ("def Support(a, b): ...", "pkg_a:Support", "needs the arguments a, b", "nothing, or one Call", "pkg_a.py:1"),
        ("def Support(call, b): ...", "pkg_a:Support", "needs the arguments call, b", "one Call", "pkg_a.py:1"),
        ("def Support(*, greeting): ...", "pkg_a:Support", "needs the arguments greeting", "one Call", "pkg_a.py:1"),
        (
            "from livekit.agents import Agent\nclass Support(Agent): ...",
            "pkg_a:Support",
            "needs the arguments instructions",
            r"__init__\(self\)",
            "pkg_a.py:2",
        ),
        (
            f"{AGENT}\nimport abc\nclass Part(Support, abc.ABC):\n    @abc.abstractmethod\n    def x(self): ...",
            "pkg_a:Part",
            "abstract class",
            "can be built",
            "pkg_a.py:14",
        ),
        (
            "from openrtc import hookimpl\nclass Support:\n    @hookimpl\n    def openrtc_agents(self): ...",
            "pkg_a:Support",
            "a plugin, not an agent",
            "openrtc.plugins",
            "pkg_a.py:2",
        ),
        (
            f"{AGENT}\nfrom openrtc import AgentSpec\nspec = AgentSpec(agent=Support())",
            "pkg_a:spec",
            "an Agent instance: all calls would share it",
            "factory",
            None,
        ),
        (
            "from openrtc import AgentSpec\nSupport = AgentSpec()",
            "pkg_a:Support",
            "TypeError: AgentSpec needs one of",
            "pkg-a",
            "pkg_a.py:2",
        ),
        (
            "from openrtc import AgentSpec\nSupport = AgentSpec(entrypoint=3)",
            "pkg_a:Support",
            "is no function",
            "async def",
            None,
        ),
    ],
)
def test_what_is_no_agent_is_broken_with_its_hint(
    site: Site, check_broken: CheckBroken, source: str, value: str, reason: str, fix: str, place: str | None
) -> None:
    check_broken(site.agent(source, value), reason, fix, place)


def test_an_agent_whose_calls_would_share_their_userdata_is_broken(site: Site) -> None:
    spec = "from openrtc import AgentSpec\ndesk = AgentSpec(agent=Support, session_options={'userdata': {}})"
    found = site.agent(f"{AGENT}\n{spec}\n", "pkg_a:desk")
    assert (found.state, found.spec) == (State.BROKEN, None)
    assert found.reason == "userdata in session_options is one object for all calls, and can be changed: a dict"
    assert found.fix == 'write session_options={"userdata": dict}, which is called without arguments for each call'
    assert str(found.location).endswith("pkg_a.py")
