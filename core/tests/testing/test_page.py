"""Runs the code of docs/testing.md that starts no process."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
SPOKEN = "test_a_caller_is_understood"  # run by tests/e2e/test_testing.py


def read_page() -> dict[str, Any]:
    """Return what the page's code defines."""
    found: dict[str, Any] = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), found)
    return found


TESTS = {name: one for name, one in read_page().items() if name.startswith("test_") and name != SPOKEN}


def test_the_page_has_tests() -> None:
    assert len(TESTS) == 4 and SPOKEN in read_page() and "openrtc_config" in read_page()


@pytest.mark.parametrize("name", TESTS)
async def test_each_of_them_passes(name: str, request: pytest.FixtureRequest) -> None:
    fixtures = {one: request.getfixturevalue(one) for one in inspect.signature(TESTS[name]).parameters}
    result = TESTS[name](**fixtures)
    if inspect.isawaitable(result):
        await result
