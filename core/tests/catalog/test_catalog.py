from __future__ import annotations

import pytest

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import Loaded, LoadedAgent
from openrtc.discovery.entries import Entry
from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.status import State, Status
from openrtc.settings.config import Policy


def make() -> None: ...


def other() -> None: ...


def installed(name: str, distribution: str, state: State = State.READY, reason: str | None = None) -> LoadedAgent:
    entry = Entry(group="openrtc.agents", name=name, value="m:C", distribution=distribution, version="1")
    spec = AgentSpec(name=name, agent=make, display_name=f"Mr {name}") if state is State.READY else None
    fix = f"fix {distribution}" if reason else None
    return LoadedAgent(name=name, entry=entry, spec=spec, status=Status(state, reason, fix))


def in_code(name: str) -> AgentSpec:
    return AgentSpec(name=name, agent=other)


def test_agents_of_code_come_first_then_the_installed_ones_in_their_order() -> None:
    loaded = Loaded(agents=(installed("b", "x"), installed("a", "y")))
    catalog = Catalog.of(loaded, specs=[in_code("z"), in_code("c")])
    assert catalog.names == catalog.ready == ("z", "c", "b", "a")
    assert catalog.get("z").distribution == "this program"


def test_an_agent_that_is_not_imported_can_be_routed_to_and_a_broken_one_cannot() -> None:
    loaded = Loaded(
        agents=(
            installed("a", "x", State.INSTALLED),
            installed("b", "y", State.BROKEN, reason="boom"),
        )
    )
    catalog = Catalog.of(loaded)
    assert (catalog.names, catalog.ready) == (("a", "b"), ("a",))
    assert catalog.why_unusable("a") is None
    assert catalog.why_unusable("b") == 'agent "b" is broken: boom (fix y)'


def test_an_unknown_name_is_explained() -> None:
    catalog = Catalog.of(Loaded(agents=(installed("support", "x"),)))
    assert catalog.why_unusable("suport") == 'there is no agent "suport" (did you mean "support"?)'
    assert catalog.why_unusable("zzz") == 'there is no agent "zzz" (there are: support)'
    with pytest.raises(OpenRTCError, match=r'there is no agent "zzz"'):
        catalog.get("zzz")
    assert Catalog().why_unusable("a") == 'there is no agent "a" (no agent is installed)'


def test_code_and_package_with_one_name_are_a_conflict_and_neither_is_chosen() -> None:
    catalog = Catalog.of(Loaded(agents=(installed("support", "my-agent"),)), specs=[in_code("support")])
    assert catalog.ready == ()
    assert [row.state for row in catalog.conflicts] == [State.CONFLICT] * 2
    why = catalog.why_unusable("support") or ""
    assert 'my-agent also brings an agent "support"' in why
    assert 'support = "my-agent"' in why


def test_prefer_gives_a_name_to_the_package() -> None:
    loaded = Loaded(agents=(installed("support", "My_Agent"),), policy=Policy(prefer={"support": "my-agent"}))
    catalog = Catalog.of(loaded, specs=[in_code("support")])
    assert catalog.ready == ("support",)
    assert catalog.get("support").distribution == "My_Agent"


def test_several_rows_of_one_name_show_the_usable_one() -> None:
    rows = (installed("support", "a", State.DISABLED, reason="denied"), installed("support", "b"))
    assert Catalog.of(Loaded(agents=rows)).get("support").distribution == "b"


def test_with_status_changes_one_agent_and_leaves_the_catalogue_it_came_from() -> None:
    before = Catalog.of(Loaded(agents=(installed("a", "x"), installed("b", "y"))))
    after = before.with_status("a", Status(State.BROKEN, "vad is missing", "pip install vad"))
    assert (before.ready, after.ready) == (("a", "b"), ("b",))
    assert "vad is missing" in (after.why_unusable("a") or "")


def test_the_display_name_is_the_specs_or_else_the_agents() -> None:
    catalog = Catalog.of(Loaded(agents=(installed("a", "x"),)), specs=[in_code("c")])
    assert (catalog.display_name("a"), catalog.display_name("c"), catalog.display_name("?")) == ("Mr a", "c", "?")


def test_an_agent_of_code_whose_calls_would_share_their_userdata_is_broken_and_no_other() -> None:
    sharing = AgentSpec(name="a", agent=make, session_options={"userdata": []})
    catalog = Catalog.of(specs=[sharing, in_code("b")])
    assert (catalog.names, catalog.ready) == (("a", "b"), ("b",))
    assert "userdata in session_options is one object for all calls" in str(catalog.why_unusable("a"))


def test_an_agent_that_a_hook_module_brings_is_switched_off_by_its_own_name() -> None:
    entry = Entry(group="openrtc.agents", name="hooks", value="m", distribution="My.Desk", version="1")
    rows = [LoadedAgent(name=name, entry=entry, spec=AgentSpec(name=name, agent=make)) for name in ("a", "b")]
    catalog = Catalog.of(Loaded(agents=tuple(rows), policy=Policy(deny=("my-desk:b", "other:a"))))
    assert catalog.ready == ("a",)
    assert catalog.get("b").status == Status(State.DISABLED, "denied by the operator", 'take "my-desk:b" out of deny')
