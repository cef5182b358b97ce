from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

import jsonschema
import pytest

from openrtc.observe import schema as schema_module
from openrtc.observe.events import EVENTS, CallRouted, Event, TurnCompleted, WorkerStarted
from openrtc.observe.schema import build_event_schema, describe_event, describe_fields

SCHEMA = build_event_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
EXAMPLES: dict[Any, Any] = {str: "text", int: 3, float: 0.5, bool: True, tuple[str, ...]: ("a", "b")}
EXAMPLES |= {str | None: "words", Mapping[str, float]: {"input_tokens": 7}}


def example(kind: type[Event]) -> Event:
    hints = get_type_hints(kind)
    given = {
        one.name: EXAMPLES[hints[one.name]] for one in fields(kind) if one.default is one.default_factory is MISSING
    }
    return kind(**given)


def through_json(event: Event) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(json.dumps(event.to_json()))
    return decoded


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_validates_and_comes_back_from_json(kind: type[Event]) -> None:
    event = example(kind)
    value = through_json(event)
    VALIDATOR.validate(value)
    assert set(value) == set(SCHEMA["$defs"][kind.kind()]["properties"])
    assert Event.from_json(value) == event


def test_every_kind_of_event_is_listed() -> None:
    def kinds(of: type[Event]) -> set[type[Event]]:
        return {of}.union(*(kinds(below) for below in of.__subclasses__()))

    abstract = {"Event", "CallEvent"}
    assert {kind.__name__ for kind in kinds(Event)} - abstract == {kind.__name__ for kind in EVENTS}


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_and_field_is_explained(kind: type[Event]) -> None:
    assert describe_event(kind).endswith(".")
    assert all(text.endswith(".") for text in describe_fields(kind).values())


@pytest.mark.parametrize(
    "wrong",
    [{"ms": "fast"}, {"event": "call_lost"}, {"room": None}],
    ids=["a wrong type", "an unknown kind", "no room"],
)
def test_what_is_no_event_does_not_validate(wrong: dict[str, Any]) -> None:
    value = through_json(example(CallRouted)) | wrong
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(value)


def test_an_unknown_latency_is_null() -> None:
    value = through_json(TurnCompleted(job_id="j", room="r"))
    assert value["latency_seconds"] is None
    VALIDATOR.validate(value)


def test_a_further_field_validates_for_later_versions_but_is_no_event_of_this_one() -> None:
    value = through_json(example(WorkerStarted)) | {"new": 1}
    VALIDATOR.validate(value)
    with pytest.raises(ValueError, match="no event"):
        Event.from_json(value)


def test_a_field_that_goes_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    def describe(kind: type[Event]) -> dict[str, str]:
        return describe_fields(kind) | ({"ms": "Goes in 0.5: use ``seconds``."} if kind is CallRouted else {})

    monkeypatch.setattr(schema_module, "describe_fields", describe)
    found = build_event_schema()["$defs"]
    marked = {
        (kind, name) for kind, one in found.items() for name, it in one["properties"].items() if "deprecated" in it
    }
    assert marked == {("call_routed", "ms")}
