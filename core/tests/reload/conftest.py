"""Engines read what all modules of their process import: here those of hundreds of test files, once for all tests."""

from __future__ import annotations

import pytest

from openrtc.reload import engine, modules

SOURCES = modules.Sources()


@pytest.fixture(autouse=True)
def known_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "Sources", lambda: SOURCES)
