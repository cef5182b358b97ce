from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import Agent

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import LoadedAgent
from openrtc.discovery.entries import AGENTS_GROUP, Entry
from openrtc.model.agents import AgentSpec, Cast, Member
from openrtc.model.decision import Decision
from openrtc.worker import own_code
from openrtc.worker.admission import attach_decision
from openrtc.worker.direct_job import build_job
from openrtc.worker.own_code import OwnCode, find_packages


def make_agent(module: str) -> Any:
    """Return a class of a module, as if it stood there."""
    return type("Theirs", (Agent,), {"__module__": module, "__init__": lambda self: None})


class Context:
    """What is used of a job's context."""

    def __init__(self, *agents: str) -> None:
        self.job = build_job("room")
        attach_decision(self.job, Decision(agents, "test", "for the test"))


CATALOG = Catalog(
    (
        LoadedAgent(
            name="sales",
            entry=Entry(
                group=AGENTS_GROUP, name="sales", value="shop.agents:Sales", distribution="pytest", version="1"
            ),
            spec=AgentSpec(agent=make_agent("shop_models.sales")),
        ),
        LoadedAgent(name="desk", spec=AgentSpec(agent=make_agent("desk_agent"))),
        LoadedAgent(name="bare", spec=AgentSpec(agent=functools.partial(Agent, instructions="x"))),
        LoadedAgent(
            name="team",
            spec=AgentSpec(
                cast=Cast(members=[Member(role="a", agent="desk"), Member(role="b", agent=make_agent("team_b"))])
            ),
        ),
    )
)


def test_an_agents_code_is_its_module_that_of_its_entry_and_what_its_distribution_installs() -> None:
    found = OwnCode(CATALOG).find(Context("sales"))  # type: ignore[arg-type]
    assert {"shop", "shop_models", "_pytest", "pytest"} <= set(found)
    assert "desk_agent" not in found


def test_a_casts_code_is_that_of_its_members() -> None:
    assert set(OwnCode(CATALOG).find(Context("team"))) == {"desk_agent", "team_b"}  # type: ignore[arg-type]


def test_livekits_own_code_is_nobodys() -> None:
    assert find_packages(CATALOG.agents["bare"]) == frozenset()


def test_code_of_no_job_may_be_any_agents() -> None:
    assert {"shop", "desk_agent", "team_b"} <= set(OwnCode(CATALOG).find(None))


def test_an_editable_install_has_the_modules_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, site = tmp_path / "my source", tmp_path / "site"
    for module in ("src/desk_here/__init__.py", "src/desk_helpers.py", "src/deep/er/__init__.py"):
        (source / module).parent.mkdir(parents=True, exist_ok=True)
        (source / module).touch()
    info = site / "desk_here-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: desk-here\nVersion: 1\n")
    (info / "direct_url.json").write_text(json.dumps({"url": source.as_uri(), "dir_info": {"editable": True}}))
    monkeypatch.syspath_prepend(str(site))
    assert own_code._list_installed("desk-here") == {"desk_here", "desk_helpers"}
    assert own_code._list_installed("nobody-has-this") == frozenset()
