"""Newly installed packages join a process that runs, and replace nothing."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from openrtc.model.request import RouteRequest
from openrtc.model.status import State, Status
from openrtc.observe.events import Event, PluginsChanged
from openrtc.reload import pick_up
from openrtc.reload.late import LatePackages
from openrtc.reload.pick_up import PickUp
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, Policy

if TYPE_CHECKING:
    from conftest import Site

NAMES = ("pick-desk", "pick-new", "pick-rival", "pick-broken", "pick-ending")
AGENT = """
from livekit.agents import Agent, Plugin
from openrtc import AgentSpec, hookimpl

class Desk(Agent):
    def __init__(self):
        super().__init__(instructions="{name}")

@hookimpl
def openrtc_agents():
    return [AgentSpec(name="night", agent=Desk)]
"""


def install(site: Site, name: str, agents: dict[str, str], source: str = AGENT, *, hooks: bool = False) -> None:
    module = name.replace("-", "_")
    values = {agent: f"{module}:{value}" for agent, value in agents.items()} | ({"hooks": module} if hooks else {})
    files = {f"{module}.py": source.replace("{name}", name)}
    site.add(name, agents=values, files=files, record=[f"{module}.py,,"])


@pytest.fixture
def runtime(site: Site, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A process that has loaded one package; what ends another process is told without one."""

    def try_apart(entries: Any, _: Config) -> Status | None:
        ends = any(entry.distribution == "pick-ending" for entry in entries)
        return Status(State.BROKEN, "the import crashed Python (SIGSEGV)") if ends else None

    monkeypatch.setattr(pick_up, "_try_apart", try_apart)
    install(site, "pick-desk", {"support": "Desk"}, hooks=True)
    return build_runtime(Config(policy=Policy(allow=NAMES, pick_up="new", import_seconds=20)))


async def take(runtime: Runtime, *names: str) -> tuple[list[PluginsChanged], list[tuple[str, ...]]]:
    """Let packages join; returns the events, and the agents that were there whenever some had joined."""
    told: list[PluginsChanged] = []
    joined: list[tuple[str, ...]] = []

    def note(event: Event) -> None:
        if isinstance(event, PluginsChanged):
            told.append(event)

    runtime.events.subscribe(note)
    loop = asyncio.get_running_loop()
    joining = PickUp(runtime, lambda *_: {}, lambda: joined.append(tuple(runtime.catalog.ready)), loop)
    assert await asyncio.to_thread(joining.take, names, {}, {})
    return told, joined


async def test_a_new_package_joins_and_what_was_there_stays_as_it_is(runtime: Runtime, site: Site) -> None:
    desk, default = runtime.catalog.get("support").spec, runtime.router.default
    install(site, "pick-new", {"aaa": "Desk"}, AGENT.replace('name="night"', 'name="day"'), hooks=True)
    told, joined = await take(runtime, "pick-new")
    assert [set(one) for one in joined] == [{"night", "support", "aaa", "day"}]
    assert [(one.distribution, one.what, one.installed_version, set(one.agents)) for one in told] == [
        ("pick-new", "picked_up", "1.0", {"aaa", "day"})
    ]
    assert runtime.catalog.get("support").spec is desk
    assert runtime.router.default == default, "though its name comes before all others"
    decision = await runtime.router.route(RouteRequest.parse(room_name="aaa-1"))
    assert decision.agents == ("aaa",)
    assert runtime.distributions.version_of("pick-new") == "1.0"


async def test_names_that_are_taken_are_told_and_replace_none(
    runtime: Runtime, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    before = {name: runtime.catalog.get(name).spec for name in ("support", "night")}
    install(site, "pick-rival", {"support": "Desk", "rival": "Desk"}, hooks=True)
    told, _ = await take(runtime, "pick-rival")
    assert [one.agents for one in told] == [("rival",)]
    assert {name: runtime.catalog.get(name).spec for name in before} == before
    rows = [row for row in runtime.catalog.rows if row.distribution == "pick-rival" and row.name != "rival"]
    assert {(row.name, row.state) for row in rows} == {("support", State.BROKEN), ("night", State.BROKEN)}
    assert 'this worker runs an agent "support" of pick-desk already, and replaces none' in caplog.text
    assert 'this worker runs an agent "night" of pick-desk already, and replaces none' in caplog.text


async def test_a_package_that_is_broken_or_would_end_the_worker_leaves_all_as_it_is(
    runtime: Runtime, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    ready = runtime.catalog.ready
    install(site, "pick-broken", {"broken": "Desk"}, "1 / 0\n")
    install(site, "pick-ending", {"ending": "Desk"}, "import os\nos._exit(3)\n")
    told, _ = await take(runtime, "pick-broken", "pick-ending")
    assert not told and runtime.catalog.ready == ready
    assert "broken of pick-broken is broken: ZeroDivisionError" in caplog.text
    assert (
        "pick-ending cannot join this worker, and is tried again when it is installed anew: the import" in caplog.text
    )
    assert "pick_broken" not in sys.modules
    (site.folder / "pick_broken.py").write_text(AGENT)
    told, _ = await take(runtime, "pick-broken")
    assert [one.agents for one in told] == [("broken",)] and "broken" in runtime.catalog.ready


async def test_plugins_of_livekit_that_a_package_brings_are_registered(runtime: Runtime, site: Site) -> None:
    from livekit.agents import Plugin

    source = AGENT + "class Bring(Plugin):\n    pass\nPlugin.register_plugin(Bring('bring', '1', 'bring'))\n"
    install(site, "pick-new", {"new": "Desk"}, source)
    before = list(Plugin.registered_plugins)
    await take(runtime, "pick-new")
    added = [one.title for one in Plugin.registered_plugins if one not in before]
    Plugin.registered_plugins[:] = before
    assert added == ["bring"] and "new" in runtime.catalog.ready


async def test_a_process_that_waited_for_its_job_takes_the_package_of_its_agent(runtime: Runtime, site: Site) -> None:
    late = LatePackages(runtime, lambda *_: {})
    install(site, "pick-new", {"new": "Desk"})
    install(site, "pick-ending", {"ending": "Desk"}, "raise SystemExit('never imported')\n")
    late.take(["support"])
    assert "new" not in runtime.catalog.agents
    late.take(["new"])
    assert "new" in runtime.catalog.ready and "ending" not in runtime.catalog.agents
