"""What makes calls cheaper is used as chosen, and left off with one line where livekit is another."""

from __future__ import annotations

import logging
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

import openrtc.speedups
from openrtc.speedups import connections, events, native, pace, playout, registry, schemas, signatures, tokens, vad
from openrtc.speedups.registry import SPEEDUPS, Patch, install_speedups, load_patch
from openrtc.upstream import digest
from openrtc.upstream.known_code import DIGESTS, USED_BY

PATCHES: list[Patch] = [vad, native, events, pace, tokens, signatures, schemas, connections, playout]
"""Each has what `Patch` says: the type checker looks."""
HELPERS = {"event_addresses", "registry", "vad_detector", "stranded_sources"}
DOCS = Path(__file__).parents[3] / "docs" / "performance.md"


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def load(name: str) -> Patch:
        return cast("Patch", SimpleNamespace(install=lambda: names.append(name)))

    monkeypatch.setattr(registry, "load_patch", load)
    another = {**DIGESTS["livekit.agents.vad"], "VADStream": ("of another release",)}
    monkeypatch.setattr(digest, "DIGESTS", {**DIGESTS, "livekit.agents.vad": another})
    return names


def test_each_speedup_is_a_module_of_its_name_and_the_docs_have_a_row_for_each() -> None:
    modules = {module.name for module in pkgutil.iter_modules(openrtc.speedups.__path__)}
    assert modules == {*SPEEDUPS, *HELPERS}
    table = DOCS.read_text("utf-8").partition("## Speedups")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(SPEEDUPS)


def test_each_patch_is_loaded_by_its_name() -> None:
    patches = [load_patch(name) for name, speedup in SPEEDUPS.items() if speedup.is_patch]
    assert patches == PATCHES
    assert {name for name, speedup in SPEEDUPS.items() if speedup.is_patch} <= set(USED_BY)


@pytest.mark.process
def test_the_list_can_be_read_without_livekit() -> None:
    code = "import sys, openrtc.speedups.registry; print({'livekit', 'logging', 'asyncio'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_one_that_does_not_fit_is_left_off_with_one_line(used: list[str], caplog: pytest.LogCaptureFixture) -> None:
    install_speedups(SPEEDUPS)
    assert used == ["native", "events", "pace", "tokens", "signatures", "schemas", "connections", "playout"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "speedup 'vad' is off" in caplog.text and "VADStream" in caplog.text


def test_what_is_not_chosen_is_not_used_and_not_logged(used: list[str], caplog: pytest.LogCaptureFixture) -> None:
    install_speedups(("events",))
    assert used == ["events"] and not caplog.records


def test_one_that_cannot_be_imported_is_left_off_with_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(name: str) -> Patch:
        raise ImportError("cannot import name 'LOG_DEBUG'")

    monkeypatch.setattr(registry, "load_patch", load)
    install_speedups(("native",))
    (record,) = caplog.records
    assert "speedup 'native' is off" in record.getMessage() and "LOG_DEBUG" in record.getMessage()
