from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from openrtc.catalog.catalog import Catalog
from openrtc.model.agents import AgentSpec
from openrtc.model.status import State
from openrtc.plugins.load import LoadedAgent

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


HOOKS = """
from openrtc import AgentSpec, hookimpl
from livekit.agents import Agent

class Bot(Agent):
    def __init__(self): super().__init__(instructions="")

@hookimpl
def openrtc_agents():
    return RESULT
"""


def hook_agents(site: Site, result: str) -> dict[str, LoadedAgent]:
    site.add("desk", agents={"desk": "desk_mod"}, files={"desk_mod.py": HOOKS.replace("RESULT", result)})
    loaded = site.load()
    assert loaded.plugins[0].state is State.READY
    return {found.name: found for found in loaded.agents}


@pytest.mark.parametrize("form", ["[{}]", "({},)", "iter([{}])", "(spec for spec in [{}])"])
def test_a_hook_module_brings_its_agents(site: Site, form: str) -> None:
    specs = "AgentSpec(name='tim', agent=Bot), AgentSpec(name='chris', agent=Bot)"
    found = hook_agents(site, form.format(specs))
    assert list(found) == ["tim", "chris"]
    assert all(agent.state is State.READY and isinstance(agent.spec, AgentSpec) for agent in found.values())
    assert found["tim"].entry
    assert found["tim"].entry.value == "desk_mod"


@pytest.mark.parametrize(
    ("result", "name", "reason", "fix"),
    [
        ("None", "desk", "openrtc_agents returned NoneType", "return"),
        ("'tim'", "desk", "openrtc_agents returned str", "return"),
        ("[Bot]", "desk", "openrtc_agents gave Bot, not an AgentSpec", "agent=Bot"),
        ("[3]", "desk", "openrtc_agents gave int, not an AgentSpec", "AgentSpec"),
        ("[AgentSpec(agent=Bot)]", "desk", "the name is empty", "AgentSpec"),
        ("[AgentSpec(name='a b', agent=Bot)]", "a b", "cannot be a name", "AgentSpec"),
        ("[AgentSpec(name='tim', agent=Bot())]", "tim", "an Agent instance", "factory"),
        ("[AgentSpec(name='tim', agent=lambda a, b: 0)]", "tim", "needs the arguments a, b", "one Call"),
        ("1 / 0", "desk", "ZeroDivisionError", "desk"),
        ("exit(3)", "desk", "sys.exit", "exit"),
        (
            "(AgentSpec(name=str(n), agent=Bot) for n in __import__('itertools').count())",
            "desk",
            "more than 1000",
            "a list that ends",
        ),
    ],
)
def test_a_wrong_result_of_the_agents_hook_is_a_row(
    site: Site, check_broken: CheckBroken, result: str, name: str, reason: str, fix: str
) -> None:
    check_broken(hook_agents(site, result)[name], reason, fix)


def test_a_good_agent_of_a_hook_is_ready_beside_a_wrong_one(site: Site) -> None:
    found = hook_agents(site, "[AgentSpec(name='tim', agent=Bot), AgentSpec(name='', agent=Bot), 3]")
    assert found["tim"].state is State.READY
    assert found["desk"].state is State.BROKEN


def test_a_name_given_twice_by_one_hook_is_broken(site: Site) -> None:
    specs = "[AgentSpec(name='tim', agent=Bot), AgentSpec(name='tim', agent=lambda: Bot())]"
    site.add("desk", agents={"desk": "desk_mod"}, files={"desk_mod.py": HOOKS.replace("RESULT", specs)})
    assert [found.state for found in site.load().agents] == [State.BROKEN] * 2


def test_a_plugin_may_bring_agents_too(site: Site) -> None:
    result = "[AgentSpec(name='tim', agent=Bot)]"
    site.add("desk", plugins={"desk": "desk_mod"}, files={"desk_mod.py": HOOKS.replace("RESULT", result)})
    (found,) = site.load().agents
    assert (found.name, found.state, found.distribution) == ("tim", State.READY, "desk")


def two_tims(site: Site) -> Callable[..., dict[str, LoadedAgent]]:
    result = "[AgentSpec(name='tim', agent=Bot)]"
    site.add("a-desk", agents={"desk": "a_mod"}, files={"a_mod.py": HOOKS.replace("RESULT", result)})
    site.add("b-desk", agents={"tim": "b_mod:Support"}, files={"b_mod.py": AGENT})
    return lambda **policy: {found.distribution: found for found in Catalog.of(site.load(**policy)).rows}


def test_a_name_that_only_a_hook_brings_conflicts_after_loading(site: Site) -> None:
    found = two_tims(site)()
    assert {agent.state for agent in found.values()} == {State.CONFLICT}
    assert {agent.spec for agent in found.values()} == {None}
    assert found["a-desk"].fix == 'in openrtc.toml: [plugins.prefer] tim = "a-desk"'


@pytest.mark.parametrize(("winner", "loser"), [("a-desk", "b-desk"), ("b-desk", "a-desk")])
def test_prefer_settles_a_conflict_after_loading(site: Site, winner: str, loser: str) -> None:
    found = two_tims(site)(prefer={"tim": winner})
    assert (found[winner].state, found[loser].state) == (State.READY, State.DISABLED)


def test_one_class_met_through_an_entry_point_and_a_hook_counts_once(site: Site) -> None:
    result = "[AgentSpec(name='tim', agent=Bot)]"
    entries = {"desk": "desk_mod", "tim": "desk_mod:Bot"}
    site.add("desk", agents=entries, files={"desk_mod.py": HOOKS.replace("RESULT", result)})
    assert [(found.name, found.state) for found in Catalog.of(site.load()).rows] == [("tim", State.READY)]
