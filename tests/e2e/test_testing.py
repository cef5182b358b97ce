"""`openrtc.testing`: the spoken test of docs/testing.md, and a package that a test has installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from openrtc.testing import RunWorker

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


@pytest.mark.realtime
async def test_the_spoken_test_of_the_page_passes(openrtc_worker: RunWorker) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "openrtc_worker()" in one]
    found: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), found)
    await found["test_a_caller_is_understood"](openrtc_worker)
    assert openrtc_worker() is openrtc_worker()
