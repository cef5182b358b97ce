"""Calls run on uvloop where that is chosen and installed, else on asyncio's own loop."""

from __future__ import annotations

import sys

import pytest

from openrtc.speedups.uvloop import new_event_loop


def module_of_loop(*speedups: str) -> str:
    loop = new_event_loop(speedups)
    loop.close()
    return type(loop).__module__.partition(".")[0]


def test_uvloop_is_used_where_it_is_chosen_and_installed() -> None:
    pytest.importorskip("uvloop", reason="an extra")
    assert module_of_loop("vad", "uvloop") == "uvloop"


def test_it_is_not_used_where_it_is_not_chosen() -> None:
    assert module_of_loop("vad") == "asyncio"


def test_where_it_is_not_installed_the_default_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)  # what an import finds of a package that is not there
    assert module_of_loop("uvloop") == "asyncio"
