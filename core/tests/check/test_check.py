"""Packages are built, imported and called in processes of their own; what they do there is seen, however they end."""

from __future__ import annotations

import json
import logging
import os
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.check.calls import hold_all
from openrtc.check.card import Finding, RuleVerdict, ScoreCard, build_card
from openrtc.check.check import check_package
from openrtc.check.child import MarksLog
from openrtc.check.findings_file import FindingsFile
from openrtc.check.loading import (
    judge_entries,
    judge_import_cost,
    judge_imports,
    judge_marks,
    judge_sources,
    list_roots,
)
from openrtc.check.metadata_rules import judge_metadata
from openrtc.check.requiring import judge_requirements
from openrtc.check.rules import CHECK_RULES, Level
from openrtc.check.tool_sources import judge_tool_sources
from openrtc.discovery.discover import discover
from openrtc.runtime.runtime import build_runtime
from openrtc.session.containment import run_contained
from openrtc.settings.config import Config, Policy

if TYPE_CHECKING:
    from conftest import Site

SAMPLES = ("dispatch-desk", "my-sales-agent", "my-support-agent", "my-vip-router")
SALES = Path(__file__).parents[3] / "sample_agents" / "my-sales-agent"
ROUTER = "from openrtc import hookimpl\n@hookimpl\ndef openrtc_route(request, agents): return None\n"

AGENTS = '''
import asyncio, os, tempfile, threading, time
from livekit.agents import Agent
from openrtc.session import leftovers

leftovers.LEFTOVER_SECONDS = leftovers.CANCEL_SECONDS = 1.5  # what a call leaves is waited for twice

class Base(Agent):
    """Helps."""
    def __init__(self):
        super().__init__(instructions="Help.")

class Clean(Base):
    def __init__(self):
        super().__init__()
        assert "MY_TOKEN" not in os.environ
    async def on_enter(self):
        self.task = asyncio.create_task(asyncio.sleep(0.5))

class Blocks(Base):
    async def on_enter(self):
        time.sleep(0.9)

class Leaves(Base):
    async def on_enter(self):
        self.task = asyncio.create_task(self.go_on())
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        tempfile.NamedTemporaryFile(delete=False).close()
    async def go_on(self):
        while True:
            await asyncio.sleep(1)

class Once(Base):
    done = []
    async def on_enter(self):
        if not self.done:
            self.done.append(True)
            tempfile.NamedTemporaryFile(delete=False).close()
            time.sleep(0.9)

class Typo(Base):
    async def on_enter(self):
        self.sesion.say("hello")

class Room(Base):
    async def on_enter(self):
        self.session.room_io.nothing()

class Swallows(Base):
    async def on_enter(self):
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                pass

class Sleeps(Base):
    async def on_enter(self):
        time.sleep(1000)

_one = Base()
def same():
    return _one
'''
NAMES = ("Clean", "Blocks", "Leaves", "Once", "Typo", "Room", "Swallows", "Sleeps", "same")


def list_failed(card: ScoreCard, rule: str) -> list[Finding]:
    """Return what has failed of a rule."""
    (outcome,) = [one for one in card.outcomes if one.rule.name == rule]
    return [one for one in outcome.findings if one.verdict is RuleVerdict.FAILED]


def find_verdict(card: ScoreCard, rule: str) -> RuleVerdict:
    """Return the verdict on a rule."""
    return next(one.verdict for one in card.outcomes if one.rule.name == rule)


def line_of(text: str) -> str:
    """Return the end of a finding's location that is this line of the agents' module."""
    return f"pkg_a.py:{[line.strip() for line in AGENTS.splitlines()].index(text) + 1}"


def test_the_sample_packages_are_gold(tmp_path: Path) -> None:
    marks = MarksLog()
    logging.getLogger("openrtc.plugins").addHandler(marks)
    try:
        runtime = build_runtime(config := Config(policy=Policy(allow=SAMPLES)))
    finally:
        logging.getLogger("openrtc.plugins").removeHandler(marks)
    agents = [row for row in runtime.catalog.rows if row.usable]
    run_contained(hold_all(runtime, agents, found := FindingsFile(tmp_path)))
    of_calls, _ = found.read()
    assert sum(one.rule == "answers" for one in of_calls) == len(agents) == 5
    for name in SAMPLES:
        own = [row for row in agents if row.distribution == name]
        plugins = [plugin for plugin in runtime.plugins if plugin.distribution == name]
        longest = max([*(row.load_ms for row in own), *(row.load_ms for row in plugins)]) / 1000
        findings = [
            *judge_metadata(distribution(name).read_text("METADATA") or ""),
            *judge_requirements(name),
            *judge_entries([entry for entry in discover(config) if entry.distribution == name]),
            *judge_imports(own, plugins),
            *judge_sources(own),
            *judge_tool_sources((agent, list_roots(agent.spec)) for agent in own if agent.spec),
            *judge_marks(marks.told),
            *judge_import_cost(longest, 0, busy=True),
            *of_calls,
            *(Finding(rule.name, RuleVerdict.NOTHING) for rule in CHECK_RULES if rule.of_agents),
        ]
        card = build_card(name, "1.0", findings)
        assert card.level is Level.GOLD, [(one.rule.name, one.what) for one in card.list_missing(Level.GOLD)]


@pytest.mark.process
def test_a_folder_is_checked_by_the_command_and_its_card_says_what_it_is(site: Site) -> None:
    result = site.run("check", str(SALES), "--level", "bronze", "--json")
    card = json.loads(result.stdout)
    assert (result.returncode, card["reached"], card["asked"]) == (0, True, "bronze"), result.stdout + result.stderr
    assert (card["schema_version"], card["distribution"]) == (1, "my-sales-agent")
    assert [row["name"] for row in card["rules"]] == [rule.name for rule in CHECK_RULES]
    assert not [row for row in card["rules"] if row["verdict"] == "failed"]


@pytest.mark.process
def test_what_calls_do_twice_is_told_with_its_line_and_nothing_that_they_do_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", str(site.folder))
    agents = {name.lower(): f"pkg_a:{name}" for name in NAMES}
    site.add("pkg-a", agents=agents, files={"pkg_a.py": AGENTS}, summary="Many")
    card = check_package("pkg-a")

    (typo,) = list_failed(card, "answers")
    assert typo.what == "typo: AttributeError: 'Typo' object has no attribute 'sesion'"
    assert typo.location.endswith(line_of('self.sesion.say("hello")'))
    (answers,) = [one for one in card.outcomes if one.rule.name == "answers"]
    assert any(one.what.startswith("room:") and one.verdict is RuleVerdict.NOT_CHECKED for one in answers.findings)

    blocked = {one.what.partition(":")[0]: one for one in list_failed(card, "blocks-nothing")}
    assert blocked.keys() == {"blocks", "sleeps"}
    assert "in each call" in blocked["blocks"].what
    assert blocked["sleeps"].what == "sleeps: on_enter() blocked the loop until it was broken off"
    assert blocked["sleeps"].location.endswith(line_of("time.sleep(1000)"))

    (cancelled,) = list_failed(card, "cancels")
    assert cancelled.what == "swallows: a task goes on when it is cancelled"
    assert "pkg_a.py:" in cancelled.location

    left = [one.what for one in list_failed(card, "leaves-nothing")]
    assert {what.partition(":")[0] for what in left} == {"leaves"}
    assert len(left) == 3
    assert any("leaves 1 task, such as go_on()" in what for what in left)
    assert any("leaves 1 thread" in what for what in left)
    assert any("leaves files" in what for what in left)

    (shared,) = list_failed(card, "builds")
    assert "returned the same Agent a second time" in shared.what
    assert shared.fix == "make a new one in every call of the factory"


@pytest.mark.process
@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import time\ntime.sleep(1000)", "pkg_p: its import had not ended after 0.5 s"),
        ("import ctypes\nctypes.string_at(0)", "pkg_p: its import crashed Python (signal 11)"),
    ],
)
def test_an_import_that_does_not_come_back_is_told_with_its_line(
    site: Site, monkeypatch: pytest.MonkeyPatch, source: str, what: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.path.relpath(site.folder))
    site.add("pkg-p", plugins={"vip": "pkg_p"}, files={"pkg_p.py": f"{source}\n{ROUTER}"}, summary="Ends")
    card = check_package("pkg-p", import_seconds=0.5)
    (found,) = list_failed(card, "imports")
    assert (found.what, found.location.rpartition("/")[2]) == (what, "pkg_p.py:2")
    (hooks,) = [one for one in card.outcomes if one.rule.name == "hooks"]
    assert (hooks.verdict, hooks.what) == (RuleVerdict.NOT_CHECKED, "see imports")
    assert card.level is None


@pytest.mark.process
def test_what_an_import_changes_is_told_and_a_router_needs_no_agents(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(site.folder))
    source = f"import logging, os\nlogging.basicConfig(level=10)\nos.chdir('/')\n{ROUTER}"
    site.add("pkg-p", plugins={"vip": "pkg_p"}, files={"pkg_p.py": source}, summary="Routes")
    card = check_package("pkg-p")
    told = " ".join(one.what for one in list_failed(card, "marks"))
    assert "its import has changed the current folder" in told
    assert "the configuration of logging" in told
    assert find_verdict(card, "answers") is RuleVerdict.NOTHING
    assert card.level is Level.BRONZE
