from __future__ import annotations

from typing import Any

import pytest

from openrtc import AgentSpec, Cast, Member, OpenRTCError
from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import Loaded, LoadedAgent
from openrtc.catalog.resolved_cast import resolve_member
from openrtc.discovery.entries import Entry
from openrtc.model.status import State, Status
from openrtc.settings.config import Config


def make() -> None: ...


async def entrypoint(context: Any) -> None: ...


def cast_of(*names: str) -> AgentSpec:
    return AgentSpec(name="team", cast=Cast(members=[Member(role=f"r-{name}", agent=name) for name in names]))


def catalog(*specs: AgentSpec) -> Catalog:
    agents = [
        AgentSpec(name="sales", agent=make, display_name="Sam", max_sessions=2, resources=("crm",), isolation="thread"),
        AgentSpec(name="support", agent=make),
        AgentSpec(name="raw", entrypoint=entrypoint),
    ]
    return Catalog.of(specs=[*agents, *specs])


def test_members_may_come_from_the_catalogue() -> None:
    resolved_cast = catalog(cast_of("sales", "support")).resolve_cast(["team"])
    assert resolved_cast is not None and resolved_cast.name == "team"
    assert [(member.role, member.spec.name, member.display_name) for member in resolved_cast.members] == [
        ("r-sales", "sales", "Sam"),
        ("r-support", "support", "support"),
    ]
    assert resolved_cast.ear.role == "r-sales"


def test_a_single_agent_is_no_cast() -> None:
    assert catalog().resolve_cast(["sales"]) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("salse", 'there is no agent "salse" (did you mean "sales"?)'),
        ("raw", "is a LiveKit entrypoint"),
        ("other", 'agent "other" is a cast itself'),
    ],
)
def test_a_cast_whose_member_cannot_be_had_is_broken_and_says_why(name: str, said: str) -> None:
    other = AgentSpec(name="other", cast=Cast(members=[Member(role="a", agent=make)]))
    broken = catalog(cast_of("sales", name), other)
    assert "team" not in broken.ready and "other" in broken.ready
    assert said in str(broken.why_unusable("team"))


def test_a_cast_is_broken_with_its_member_also_when_another_process_has_imported_it() -> None:
    entry = Entry(group="openrtc.agents", name="team", value="m:c", distribution="d", version="1")
    probed = LoadedAgent(name="team", entry=entry, shape="cast", members=("nobody",))
    (row,) = Catalog.of(Loaded(agents=(probed,))).rows
    assert row.state is State.BROKEN and 'there is no agent "nobody"' in str(row.reason)


def test_several_agents_that_a_router_names_are_a_cast_that_the_first_one_leads() -> None:
    found = catalog().resolve_cast(["support", "sales"])
    assert found is not None
    assert (found.name, found.cast.lead, found.ear.role) == ("support+sales", "support", "support")


def test_several_agents_that_cannot_be_a_cast_are_told() -> None:
    known = catalog(cast_of("sales"))
    assert known.why_no_cast(["sales", "support"]) is None
    assert known.why_no_cast(["sales", "sales"]) == 'agent "sales" is named twice'
    assert 'there is no agent "x"' in str(known.why_no_cast(["sales", "x"]))
    assert "is a cast itself" in str(known.why_no_cast(["sales", "team"]))
    assert "entrypoint" in str(known.why_no_cast(["sales", "raw"]))


def test_every_member_of_the_catalogue_counts_as_a_session_of_its_agent() -> None:
    known = catalog(cast_of("sales", "support"))
    assert known.limited_agents(["team"]) == {"team", "sales", "support"}
    assert known.limited_agents(["sales", "support"]) == {"sales", "support"}
    assert known.limited_agents(["sales"]) == {"sales"}


def test_a_cast_is_as_much_apart_as_its_members_unless_the_operator_says_otherwise() -> None:
    known = catalog(cast_of("sales", "support"))
    assert known.isolation("team", Config()) == "thread"
    assert known.isolation("team", Config(isolation={"support": "process"})) == "process"
    assert known.isolation("team", Config(isolation={"team": "coroutine"})) == "coroutine"


def test_a_member_that_broke_meanwhile_cannot_be_built() -> None:
    known = catalog(cast_of("sales")).with_status("sales", Status(State.BROKEN, "no crm"))
    with pytest.raises(OpenRTCError, match=r'member \'r-sales\': agent "sales" is broken: no crm'):
        known.resolve_cast(["team"])


def test_a_member_of_the_catalogue_keeps_its_name() -> None:
    resolved = resolve_member(Member(role="help", agent="support"), catalog().agents)
    assert (resolved.role, resolved.spec.name) == ("help", "support")
