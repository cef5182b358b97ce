from __future__ import annotations

import pytest

from openrtc import CheckResult, OpenRTCError


def test_a_verdict_that_there_is_not_is_told_with_what_was_meant() -> None:
    with pytest.raises(OpenRTCError, match=r'has the verdict "warn" \(did you mean "warning"\?\)'):
        CheckResult(name="database", verdict="warn")


def test_what_is_empty_is_none_in_json() -> None:
    found = CheckResult(name="database", verdict="ok").to_json()
    assert found == {
        "name": "database",
        "verdict": "ok",
        "message": None,
        "fix": None,
        "location": None,
        "distribution": None,
    }
