"""Which options of a session all calls may share."""

from __future__ import annotations

import dataclasses
import enum
import functools
import re
import types
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec, Cast, Member
from openrtc.model.own_options import find_mutable_part, find_shared_option


def build() -> Any:
    """Stand for a factory of agents."""


class Plain:
    pass


class Point(NamedTuple):
    x: int
    y: object = 0


class Tier(enum.Enum):
    GOLD = "gold"


@dataclasses.dataclass
class State:
    name: str = ""


@dataclasses.dataclass
class Needy:
    name: str


@dataclasses.dataclass(frozen=True)
class Settings:
    region: str = "eu"
    more: object = ()


def fault(value: object, option: str = "userdata") -> OpenRTCError | None:
    return find_shared_option(AgentSpec(agent=build, session_options={option: value}))


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({}, "a dict"),
        ([1], "a list"),
        (set(), "a set"),
        (bytearray(), "a bytearray"),
        (Plain(), "a Plain"),
        (State(), "a State"),
        (types.SimpleNamespace(), "a SimpleNamespace"),
        ((1, []), "a list in it"),
        (Point(1, {}), "a dict in it"),
        (Settings(more={}), "a dict in it"),
        (Settings(more=Settings(more=(1, State()))), "a State in it"),
    ],
)
def test_userdata_that_one_call_could_change_for_another_is_none(value: object, what: str) -> None:
    found = fault(value)
    assert found is not None
    assert found.message == f"userdata in session_options is one object for all calls, and can be changed: {what}"
    assert str(found.fix).startswith('write session_options={"userdata": ')


@pytest.mark.parametrize("value", [{}, [], State(), Plain()])
def test_the_fix_makes_such_a_value(value: object) -> None:
    found = fault(value)
    assert found is not None
    assert f'{{"userdata": {type(value).__name__}}}' in str(found.fix)


@pytest.mark.parametrize(
    "value",
    [
        *(None, 3, 1.5, "eu", b"x", date(2026, 1, 1), Path("x"), (1, ("a",)), frozenset({1}), Tier.GOLD),
        *(Settings(), Settings(more=Tier.GOLD), Point(1), types.MappingProxyType({"a": 1})),
    ],
)
def test_what_nobody_can_change_is_taken_as_it_is(value: object) -> None:
    assert fault(value) is None
    assert find_mutable_part(value) is None


@pytest.mark.parametrize("make", [dict, State, Plain, lambda: {"a": 1}, functools.partial(Needy, "x"), build])
def test_what_can_be_called_without_arguments_makes_it_for_each_call(make: object) -> None:
    assert fault(make) is None


@pytest.mark.parametrize("make", [Needy, lambda call: {}])
def test_what_cannot_be_called_so_is_none(make: object) -> None:
    found = fault(make)
    assert found is not None
    assert "which cannot be called without arguments" in found.message


def test_servers_of_tools_are_of_one_call_too() -> None:
    found = fault([Plain()], "mcp_servers")
    assert found is not None
    assert "mcp_servers in session_options is one object" in found.message
    assert fault(list, "mcp_servers") is None
    assert fault([build], "tools") is None


def test_the_member_of_a_cast_is_named() -> None:
    member = Member(role="driver", agent=AgentSpec(agent=build, session_options={"userdata": {}}))
    found = find_shared_option(AgentSpec(cast=Cast(members=[member])))
    assert found is not None
    assert "member 'driver': userdata in session_options" in found.message


def test_options_that_are_no_mapping_are_named() -> None:
    options: Any = [1]
    found = find_shared_option(AgentSpec(agent=build, session_options=options))
    assert "session_options is a list" in str(found)


def takes_two(call: object, other: object) -> Any:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"userdata": {}}, "userdata is one object for all calls, and can be changed: a dict"),
        ({"userdata": State()}, "userdata is one object for all calls, and can be changed: a State"),
        ({"userdata": takes_two}, "userdata .*:takes_two needs the arguments call, other"),
        ({"session_options": takes_two}, "session_options .*:takes_two needs the arguments call, other"),
        ({"room_options": takes_two}, "room_options .*:takes_two needs the arguments call, other"),
        ({"userdata": State, "session_options": {"userdata": State}}, "userdata is given twice"),
    ],
)
def test_what_a_spec_makes_for_each_call_takes_nothing_or_the_call(options: dict[str, Any], message: str) -> None:
    error = find_shared_option(AgentSpec(agent=build, **options))
    assert error and re.search(message, error.message) and error.fix


@pytest.mark.parametrize("userdata", [State, Needy, dict, lambda call: State(), "text", None])
def test_userdata_is_made_for_each_call_or_cannot_be_changed(userdata: Any) -> None:
    assert find_shared_option(AgentSpec(agent=build, userdata=userdata)) is None
