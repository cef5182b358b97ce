"""What an agent gets of a dispatch's metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from pydantic import BaseModel, field_validator
from typing_extensions import TypedDict

from openrtc import AgentSpec, Call, Cast, Decision, Member, OpenRTCError
from openrtc.model.builders import check_builder
from openrtc.model.metadata import build_schema, find_model_fault, fit_metadata
from openrtc.model.request import RouteRequest


@dataclass(frozen=True)
class Line:
    item: str
    count: int = 1


@dataclass(frozen=True)
class Order:
    customer: int
    lines: list[Line] = field(default_factory=list)
    tier: Literal["gold", "plain"] = "plain"


class Ticket(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def check(cls, value: int) -> int:
        if value == 13:
            raise SystemExit("no such number")
        if value == 14:
            raise LookupError("\x1b[31mthe directory is down\n" + 10_000 * "x")
        return value


class Desk(TypedDict, total=False):
    floor: int


def make(call: Call[Order]) -> Any: ...


def read(raw: str | dict[str, Any], model: Any = None) -> Any:
    text = raw if isinstance(raw, str) else json.dumps(raw)
    request = RouteRequest.parse(room_name="r", job_metadata=text)
    return fit_metadata(request, AgentSpec(agent=make, name="a", metadata_model=model))


def test_without_a_model_it_is_what_the_routing_does_not_read() -> None:
    assert read({"agent": "a", "demo": "b", "customer": 7}) == {"customer": 7}
    assert read("") == read("[1]") == read("no json") == {}
    one = Call(job_id="j", agent_name="a", request=RouteRequest(room_name="r"), decision=Decision.to("a"))
    assert one.metadata == {}


def test_a_model_is_filled_in() -> None:
    given = {"agent": "a", "customer": 7, "lines": [{"item": "pen"}], "unknown": 1}
    assert read(given, Order) == Order(7, [Line("pen")])
    assert read({"number": 5}, Ticket) == Ticket(number=5)
    assert read({"floor": 2}, Desk) == {"floor": 2}
    assert read("", Desk) == {}


@pytest.mark.parametrize(
    ("raw", "model", "says"),
    [
        ("", Order, "does not fit: field 'customer': Field required"),
        ({"customer": "x' secret"}, Order, "field 'customer': Input should be a valid integer"),
        ({"customer": 1, "lines": [{"item": 3}]}, Order, "field 'lines.0.item': Input should be a valid string"),
        ({"customer": 1, "tier": "\x1b[31m"}, Order, "field 'tier': Input should be 'gold' or 'plain'"),
        ({"customer": 1, "lines": [{}] * 9}, Order, "; and 6 more"),
        ("{", Order, "is not JSON"),
        ("[1]", Order, "is a JSON array, not an object"),
        ('{"customer": ' + "[" * 40 + "]" * 40 + "}", Order, "is nested deeper than 32"),
        ('{"customer": NaN}', Order, "is not JSON (NaN is no JSON)"),
        ({"customer": 1, "pad": 70_000 * "x"}, Order, "more than 65536"),
        ({"number": 13}, Ticket, "could not be checked: SystemExit: no such number"),
        ({"number": 14}, Ticket, "could not be checked: LookupError: [31mthe directory is down x"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line_by_its_field_and_without_its_value(
    raw: str | dict[str, Any], model: Any, says: str
) -> None:
    with pytest.raises(OpenRTCError) as caught:
        read(raw, model)
    said = caught.value.message
    assert says in said and "secret" not in said and said.isprintable() and len(said) < 400


def test_a_type_that_can_hold_no_metadata_breaks_its_agent_when_it_is_loaded() -> None:
    class Odd(BaseModel):
        model_config = {"arbitrary_types_allowed": True}
        thing: Any

    @dataclass
    class Broken:
        thing: "NoSuchType"  # type: ignore[name-defined]  # noqa: F821, UP037

    for model, says in [
        (dict, "metadata_model= is <class 'dict'>"),
        ("x", "is 'x'"),
        (Broken, "Broken cannot be read"),
    ]:
        fault = find_model_fault(AgentSpec(agent=make, metadata_model=model))
        assert fault is not None and says in str(fault)
        member = Member(role="m", agent=AgentSpec(agent=make, metadata_model=model))
        assert find_model_fault(AgentSpec(cast=Cast(members=[member]))) is not None
    assert find_model_fault(AgentSpec(agent=make, metadata_model=Odd)) is None


def test_its_schema_is_told() -> None:
    schema = build_schema(AgentSpec(agent=make, metadata_model=Order))
    assert schema and schema["required"] == ["customer"] and schema["properties"]["tier"]["enum"] == ["gold", "plain"]
    assert build_schema(AgentSpec(agent=make)) is build_schema(None) is None


def test_a_class_may_say_what_its_call_carries() -> None:
    from livekit.agents import Agent

    class Clerk(Agent):
        def __init__(self, order: Call[Order]) -> None:
            super().__init__(instructions="x")

    class Strict(Agent):
        def __init__(self, order: "Call[Order]") -> None:  # noqa: UP037
            super().__init__(instructions="x")

    assert check_builder(make) == "keyword"
    assert check_builder(Clerk) == check_builder(Strict) == "position"
