from __future__ import annotations

from typing import Any

import pytest

from openrtc.errors import OpenRTCError
from openrtc.model.call_limits import CallLimits
from openrtc.settings.kinds import (
    AGENTS,
    DISTRIBUTIONS,
    AgentLimits,
    AgentName,
    Choice,
    DistributionName,
    Kind,
    Names,
    Number,
    Parts,
    Requirements,
    Seconds,
    Some,
    Switch,
    Table,
    Text,
)

PARTS = Parts("NAME", "")
LIMITS = Table("AGENT=NUMBER", "support = 10 below [limits]", Number(1, 9), AGENTS)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Text(), "a,b", "a,b"),
        (Switch(), "On", True),
        (Switch(), "0", False),
        (Number(0, 9), "7", 7),
        (Seconds(0, 60), "60", 60),
        (Seconds(0, 60), "2.5", 2.5),
        (Choice("text", "json"), "JSON", "json"),
        (Some("a", "b"), "b, A", ("b", "a")),
        (Some("a", "b"), "none", ()),
        (Names(), "x, y,x", ("x", "y")),
        (Names(DISTRIBUTIONS), "My_Agent", ("my-agent",)),
        (Names(), "", ()),
        (Some("a", "b"), "", ()),
        (PARTS, "", ()),
        (PARTS, "My_Agent, my.agent:Support, my-agent", ("my-agent", "my-agent:Support")),
        (PARTS, " my-agent : x.y ", ("my-agent:x.y",)),
        (Requirements(), "", ()),
        (Requirements(), "My_Agent", ("my-agent",)),
        (
            Requirements(),
            "My_Agent >= 1, <2 , b==1.*,c~=1.0,!=1.3, d",
            ("my-agent<2,>=1", "b==1.*", "c!=1.3,~=1.0", "d"),
        ),
        (DistributionName(), "My.Agent", "my-agent"),
        (LIMITS, "support=2, sales=9", {"support": 2, "sales": 9}),
    ],
)
def test_each_kind_decodes_and_checks_what_a_variable_holds(kind: Kind, text: str, value: object) -> None:
    assert kind.check(kind.decode(text)) == value


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (Number(0, 9), "10", "must be a whole number from 0 to 9, not 10"),
        (Number(0, 9), "1" * 5000, "must be a whole number from 0 to 9"),
        (Seconds(0, 60), "60.5", "must be a number from 0 to 60, not 60.5"),
        (Seconds(0, 60), "nan", "must be a number from 0 to 60, not 'nan'"),
        (Choice("text", "json"), "jsn", "must be one of text, json, not 'jsn' (did you mean \"json\"?)"),
        (LIMITS, "support", "must be a table of agent = number, not 'support' (as in support = 10 below [limits])"),
        (LIMITS, "support=0", 'of "support" must be a whole number from 1 to 9, not 0'),
        (LIMITS, "support=many", "of \"support\" must be a whole number from 1 to 9, not 'many'"),
        (AgentLimits(), "0", "must be a whole number from 1 to 100000, not 0"),
        (DistributionName(), "a b", 'cannot hold "a b"'),
        (PARTS, "a b:c", 'cannot hold "a b"'),
        (PARTS, "a:", 'cannot hold "a:" (write DISTRIBUTION, or DISTRIBUTION:NAME)'),
        (PARTS, "a:b:c", 'cannot hold "a:b:c"'),
        (PARTS, ":b", 'cannot hold ""'),
        (Requirements(), ">=1", 'cannot hold ">=1" (write a name and versions: my-agent>=1,<2)'),
        (Requirements(), "a b", 'cannot hold "a b"'),
        (Requirements(), "a[x]>=1", 'cannot hold "a[x]>=1"'),
        (Requirements(), "a; os_name == 'x'", "cannot hold"),
        (Requirements(), "a @ https://x.y/z", "cannot hold"),
        (Requirements(), "a>=" + "9" * 5000, "cannot hold"),
    ],
)
def test_what_is_wrong_is_said_with_what_may_be(kind: Kind, text: str, words: str) -> None:
    with pytest.raises(OpenRTCError) as raised:
        kind.check(kind.decode(text))
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"minuets": 1}, 'of "support" cannot hold "minuets" (did you mean "minutes"?)'),
        ({"minutes": -1}, 'of "support" (minutes) must be a number from 0 to 10080, not -1'),
        ({"minutes": float("nan")}, 'of "support" (minutes) must be a number from 0 to 10080, not nan'),
        ({"silent_seconds": "60"}, "of \"support\" (silent_seconds) must be a number from 0 to 86400, not '60'"),
        ({"sessions": 1.5}, 'of "support" (sessions) must be a whole number from 1 to 100000, not 1.5'),
        (True, 'of "support" must be a whole number from 1 to 100000, not True'),
    ],
)
def test_what_is_wrong_in_the_limits_of_an_agent_is_said(value: object, words: str) -> None:
    table = Table("AGENT=NUMBER", "", AgentLimits(), AGENTS)
    assert table.check({"support": {"sessions": 2, "minutes": 0.5}, "sales": 3}) == {
        "support": CallLimits(sessions=2, minutes=0.5),
        "sales": CallLimits(sessions=3),
    }
    with pytest.raises(OpenRTCError) as raised:
        table.check({"support": value})
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("kind", "value", "names"),
    [
        (AgentName(), "support", ["support"]),
        (AgentName(), None, []),
        (Names(AGENTS), ("a", "b"), ["a", "b"]),
        (Names(AGENTS), None, []),
        (Names(), ("a",), []),
        (LIMITS, {"support": 2}, ["support"]),
        (PARTS, ("my-agent:a", "my-agent:b", "c"), ["my-agent", "c"]),
        (Parts("REQUIRED", "", names_of=""), ("my-agent:a",), []),
        (Requirements(), ("a>=1",), []),
        (Table("NAME=DISTRIBUTION", "", DistributionName(), DISTRIBUTIONS), {"support": "my-agent"}, ["my-agent"]),
    ],
)
def test_each_kind_knows_the_names_in_a_value(kind: Kind, value: Any, names: list[str]) -> None:
    assert list(kind.names_in(value)) == names
