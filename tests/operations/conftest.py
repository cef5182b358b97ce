"""The workers of these tests run as livekit-agents would run them; those of the other tests with every speedup."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_speedups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENRTC_SPEEDUPS", "none")
