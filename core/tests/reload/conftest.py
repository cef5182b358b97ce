"""What all tests of reloading need: what they make known is forgotten, and what others import is read once.

Engines read what all modules of their process import: here those of hundreds of test files.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from openrtc.plugins.own_modules import remember_distributions
from openrtc.reload import engine, modules

SOURCES = modules.Sources()


@pytest.fixture(autouse=True)
def known_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "Sources", lambda: SOURCES)


@pytest.fixture(autouse=True)
def known_distributions() -> Iterator[None]:
    """Forget afterwards what a test has made known."""
    holders: tuple[Any, Any] = (importlib, importlib.util)
    kept = [
        (holder, name, getattr(holder, name))
        for holder, name in zip(holders, ("import_module", "find_spec"), strict=True)
    ]
    restore, finders = remember_distributions(), sys.meta_path[:]
    yield
    restore()
    sys.meta_path[:] = finders
    for holder, name, function in kept:
        setattr(holder, name, function)
