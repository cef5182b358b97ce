from __future__ import annotations

import json

import pytest

from openrtc.model.decision import Decision, TraceLine
from openrtc.model.request import MAX_METADATA_CHARACTERS, RouteRequest, parse_metadata


def test_a_json_object_is_parsed_and_the_raw_text_kept() -> None:
    request = RouteRequest.parse(room_name="r", job_metadata='{"agent": "support"}', room_metadata='{"x": 1}')
    assert request.job_metadata == {"agent": "support"}
    assert request.room_metadata == {"x": 1}
    assert request.job_metadata_raw == '{"agent": "support"}'


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_no_metadata_is_no_problem(blank: str) -> None:
    assert parse_metadata(blank) == (None, None)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("hello", "not JSON"),
        ("{'agent': 'x'}", "not JSON"),
        ('["a"]', "a JSON array"),
        ("null", "a JSON null"),
        ("3.5", "a JSON number"),
        ("true", "a JSON boolean"),
        ('"support"', "a JSON string"),
        ("[" * 1000, "not JSON"),
        ('{"a":' * 40 + "1" + "}" * 40, "nested deeper"),
        ("[" * 60_000, "not JSON"),
        ('{"x": "' + "y" * MAX_METADATA_CHARACTERS + '"}', "more than"),
        ("a\x00b", "not JSON"),
    ],
)
def test_bad_metadata_is_absent_and_explained(raw: str, said: str) -> None:
    value, problem = parse_metadata(raw)
    assert value is None
    assert problem is not None and said in problem


def test_a_decision_survives_its_way_through_json() -> None:
    trace = (TraceLine("job.agent", "openrtc", None, "no job metadata", 0.123456), TraceLine("x", "d", ("a",), "why"))
    decision = Decision(("a",), "x", "why", None, trace)
    again = Decision.from_json(json.dumps(decision.to_json()))
    assert again.agents == ("a",)
    assert again.trace[1] == trace[1]
    assert again.trace[0].ms == 0.123
    assert Decision.from_json(json.dumps(Decision.reject("no").to_json())).rejected == "no"
