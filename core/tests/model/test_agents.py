from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from livekit.agents import Agent

from openrtc import AgentPool, AgentSpec, Cast, Member, OpenRTCError


class Tim(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="x")


async def entrypoint(context: Any) -> None: ...


def members(*roles: str) -> list[Member]:
    return [Member(role=role, agent=Tim) for role in roles]


def test_the_first_member_leads_and_listens_unless_the_cast_says_otherwise() -> None:
    cast = Cast(members=members("dispatcher", "driver"))
    assert (cast.lead, cast.ear, cast.roles) == ("dispatcher", "dispatcher", ("dispatcher", "driver"))
    cast = Cast(members=members("dispatcher", "driver"), lead="driver")
    assert (cast.lead, cast.ear) == ("driver", "driver")


def test_a_member_is_a_class_a_factory_a_spec_or_a_name() -> None:
    named, factory = Member(role="a", agent="support"), Member(role="b", agent=lambda: Tim())
    spec = Member(role="c", agent=AgentSpec(agent=Tim, display_name="Tim"))
    assert named.spec is None
    assert factory.spec is not None and factory.spec.name == "b"
    assert spec.spec is not None and (spec.spec.name, spec.spec.display_name) == ("c", "Tim")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Cast(members=[]), "a cast needs members"),
        (lambda: Cast(members=[Tim]), "members= holds"),  # type: ignore[list-item]
        (lambda: Cast(members=members("a", "a")), "the role 'a' is given twice"),
        (lambda: Cast(members=members("driver"), lead="drivr"), "lead='drivr' (did you mean \"driver\"?)"),
        (lambda: Cast(members=members("driver"), ear="porter"), "ear='porter' (the roles are driver)"),
        (lambda: Cast(members=members("a"), answers="nobody"), "answers='nobody'"),
        (lambda: Cast(members=members("a"), hears="smell"), "hears='smell' (one of text, audio)"),
        (lambda: Cast(members=members("a"), on_crash="cry"), "on_crash='cry'"),
        (lambda: Cast(members=members("a"), ends="soon"), "ends='soon'"),
        (lambda: Cast(members=members("a"), turn_budget=0), "turn_budget=0 (write a number from 1)"),
        (lambda: Cast(members=members("a"), turn_seconds=0), "turn_seconds=0"),
        (lambda: Member(role="a b", agent=Tim), '"a b" cannot be a name'),
        (lambda: Member(role="", agent=Tim), "the name is empty"),
        (lambda: Member(role="a", agent=Tim()), "is an Agent instance: all calls would share it"),  # type: ignore[arg-type]
        (lambda: Member(role="a", agent=int), "the class builtins:int is no Agent"),
        (lambda: Member(role="a", agent=AgentSpec(entrypoint=entrypoint)), "is a LiveKit entrypoint"),
        (lambda: Member(role="a", agent=AgentSpec(cast=Cast(members=members("b")))), "member 'a' is a cast itself"),
        (lambda: Member(role="a", agent=Cast(members=members("b"))), "member 'a' is a cast itself"),  # type: ignore[arg-type]
    ],
)
def test_a_bad_declaration_is_one_clear_line(make: Any, said: str) -> None:
    with pytest.raises(OpenRTCError) as raised:
        make()
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_a_spec_is_one_of_agent_entrypoint_and_cast() -> None:
    cast = Cast(members=members("a"))
    assert AgentSpec(cast=cast).shape == "cast"
    assert (AgentSpec(agent=Tim).shape, AgentSpec(entrypoint=entrypoint).shape) == ("agent", "entrypoint")
    with pytest.raises(TypeError, match="one of agent=, entrypoint= and cast="):
        AgentSpec(agent=Tim, cast=cast)
    with pytest.raises(TypeError, match="cast= and greeting= do not go together"):
        AgentSpec(cast=cast, greeting="hello")
    with pytest.raises(TypeError, match="takes a Cast"):
        AgentSpec(cast=members("a"))  # type: ignore[arg-type]


def test_a_cast_is_as_much_apart_as_its_most_demanding_member() -> None:
    both = Cast(members=[Member(role="a", agent=Tim), Member(role="b", agent=AgentSpec(agent=Tim, isolation="thread"))])
    assert AgentSpec(cast=both).isolation == "thread"
    assert AgentSpec(cast=both, isolation="process").isolation == "process"


def test_a_pool_takes_a_cast() -> None:
    pool = AgentPool().add("dispatch", Cast(members=members("a", "b")))
    spec = pool.get("dispatch")
    assert spec.cast is not None and spec.name == "dispatch"


@pytest.mark.process
def test_a_cast_can_be_declared_without_importing_livekit() -> None:
    code = (
        "import sys; from openrtc import AgentSpec, Cast, Member, current_member; "
        "AgentSpec(cast=Cast(members=[Member(role='a', agent='x'), Member(role='b', agent=lambda: None)])); "
        "print([m for m in sys.modules if m.split('.')[0] == 'livekit'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prewarm": 3}, "prewarm= takes a function, not 3"),
        ({"on_request": "yes"}, "on_request= takes a function"),
        ({"entrypoint": print, "agent": None, "userdata": dict}, "entrypoint= and userdata= do not go together"),
    ],
)
def test_callbacks_are_functions(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        AgentSpec(**{"agent": Tim, **options})


def test_a_prewarm_that_nobody_would_wait_for_is_refused() -> None:
    async def prewarm(process: object) -> None: ...

    with pytest.raises(TypeError, match="write def, not async def"):
        AgentSpec(agent=Tim, prewarm=prewarm)


def test_a_members_callbacks_are_the_casts() -> None:
    with pytest.raises(OpenRTCError, match="member 'a': on_session_end= is for the call, which the cast has"):
        Member(role="a", agent=AgentSpec(agent=Tim, on_session_end=lambda context: None))
