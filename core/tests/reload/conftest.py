"""What all tests of reloading need: what they make known is forgotten, and what is imported already is nobody's."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from openrtc.plugins.own_modules import remember_distributions
from openrtc.reload import modules


@pytest.fixture(autouse=True)
def nobodys_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let engines read only what the modules of the test import, and not those of hundreds of test files."""
    imported = {name.partition(".")[0] for name in sys.modules}
    monkeypatch.setattr(modules, "NOBODYS_PACKAGE", modules.NOBODYS_PACKAGE | imported)


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
