"""A worker tells once of each package that is installed otherwise than it has loaded it."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import make_mocked_request

from openrtc.model.request import RouteRequest
from openrtc.observe.events import Event, PluginsChanged
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, Policy, WorkerSettings
from openrtc.worker import drift_watch
from openrtc.worker.drift_watch import DriftWatch
from openrtc.worker.health_routes import build_health_routes
from openrtc.worker.run import note_sources
from openrtc.worker.server import WorkerServer

if TYPE_CHECKING:
    from conftest import Site

AGENT = """
from livekit.agents import Agent
class Desk(Agent):
    def __init__(self):
        super().__init__(instructions="x")
"""


def install(site: Site, name: str, version: str = "1.0") -> Path:
    record = [f"{name}_agent.py,sha256={version},1"]
    files = {f"{name}_agent.py": AGENT}
    return site.add(name, agents={name: f"{name}_agent:Desk"}, version=version, record=record, files=files)


@pytest.fixture
def desk(site: Site) -> Path:
    """An agent's package, which is installed before the worker starts."""
    return install(site, "drift-desk")


@pytest.fixture
def runtime(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """What a worker has loaded that looks without pauses."""
    monkeypatch.setattr(drift_watch, "INSTALLED_SECONDS", 0.02)
    monkeypatch.setattr(drift_watch, "DRIFT_LOOK_SECONDS", 0.02)
    policy = Policy(allow=("drift-desk", "drift-sales"))
    worker = WorkerSettings(url="ws://127.0.0.1:1", api_key="k", api_secret="s")
    runtime = build_runtime(Config(worker=worker, policy=policy))
    note_sources(runtime)
    return runtime


def note(runtime: Runtime) -> list[PluginsChanged]:
    told: list[PluginsChanged] = []

    def take(event: Event) -> None:
        if isinstance(event, PluginsChanged):
            told.append(event)

    runtime.events.subscribe(take)
    return told


def wait_until(true: Callable[[], Any]) -> None:
    until = time.monotonic() + 20.0
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    assert true()


async def test_each_change_is_told_once_and_what_is_as_it_was_again_too(
    runtime: Runtime, site: Site, desk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    told = note(runtime)
    async with DriftWatch(runtime).open(supervised=True):
        shutil.rmtree(desk)
        upgrade = install(site, "drift-desk", "1.1")
        wait_until(lambda: told)
        install(site, "drift-sales", "2.0")
        wait_until(lambda: len(told) == 2)
        shutil.rmtree(upgrade)
        install(site, "drift-desk")
        wait_until(lambda: len(told) == 3)
    assert [(one.distribution, one.what, one.loaded_version, one.installed_version) for one in told] == [
        ("drift-desk", "upgraded", "1.0", "1.1"),
        ("drift-sales", "installed", "", "2.0"),
        ("drift-desk", "restored", "1.0", "1.0"),
    ]
    lines = [record.getMessage() for record in caplog.records if "drift-" in record.getMessage()]
    until = "until the worker is restarted, as SIGHUP to the supervisor does"
    assert lines[-3:] == [
        f"drift-desk 1.1 was installed after this worker loaded 1.0: calls go on with what is loaded {until}",
        f"drift-sales 2.0 was installed after this worker started: it is not used (drift-sales) {until}",
        "drift-desk 1.0 is installed again, as this worker has loaded it",
    ]


async def test_what_was_installed_before_it_looks_for_the_first_time_counts(
    runtime: Runtime, site: Site, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_watch, "DRIFT_LOOK_SECONDS", 600.0)
    told = note(runtime)
    shutil.rmtree(desk)
    watch = DriftWatch(runtime)
    async with watch.open():  # as a worker that is forked later from what its parent has loaded
        wait_until(lambda: told)
        install(site, "drift-desk", "0.9")
        watch.look_soon()  # as before each job process
        wait_until(lambda: len(told) == 2)
    assert [one.what for one in told] == ["removed", "downgraded"]


async def test_ready_agents_top_and_the_router_say_so(
    runtime: Runtime, site: Site, desk: Path, runtime_folder: Path
) -> None:
    server = WorkerServer(runtime)
    routes = {one.path: one.handler for one in build_health_routes(runtime, server.monitor)}

    async def ask(path: str) -> dict[str, Any]:
        found: Any = await routes[path](make_mocked_request("GET", path))
        document: dict[str, Any] = json.loads(found.body or found.text)
        return document

    assert "drift" not in await ask("/ready") and (await ask("/agents"))["drift"] == []
    shutil.rmtree(desk)
    install(site, "drift-desk", "1.1")
    install(site, "drift-sales", "2.0")
    async with server.drift.open():
        wait_until(lambda: len(runtime.drift) == 2)
    expected = [
        {
            "distribution": "drift-desk",
            "what": "upgraded",
            "loaded_version": "1.0",
            "installed_version": "1.1",
            "agents": ["drift-desk"],
        },
        {
            "distribution": "drift-sales",
            "what": "installed",
            "loaded_version": "",
            "installed_version": "2.0",
            "agents": ["drift-sales"],
        },
    ]
    assert (await ask("/ready"))["drift"] == (await ask("/agents"))["drift"] == expected
    assert server.monitor.snapshot()["drift"] == expected
    for attributes, reason in (
        ({"openrtc.agent": "drift-sales"}, "drift-sales 2.0 was installed after this worker started"),
        ({"openrtc.agent": "drift-nobody"}, 'there is no agent "drift-nobody"'),
    ):
        decision = await runtime.router.route(RouteRequest.parse(room_name="r", attributes=attributes))
        assert decision.rejected and reason in decision.rejected
    decision = await runtime.router.route(RouteRequest.parse(room_name="r", attributes={"openrtc.agent": "drift-desk"}))
    assert decision.agents == ("drift-desk",), "it goes on with what is loaded"


async def test_packages_that_nothing_is_used_of_join_and_are_tried_again_when_they_are_installed_anew(
    runtime: Runtime, site: Site, desk: Path
) -> None:
    joined: list[Sequence[str]] = []

    def join(names: Sequence[str], before: Mapping[str, object], now: Mapping[str, object]) -> bool:
        assert set(now) > set(before)
        joined.append(names)
        return True

    async with DriftWatch(runtime).open(join=join):
        shutil.rmtree(desk)
        install(site, "drift-desk", "1.1")
        wait_until(lambda: runtime.drift)
        await asyncio.sleep(0.2)
        assert not joined, "something of it is used"
        new = install(site, "drift-sales", "2.0")
        wait_until(lambda: joined)
        shutil.rmtree(new)
        wait_until(lambda: len(runtime.drift) == 1)
        install(site, "drift-sales", "2.1")
        wait_until(lambda: len(joined) == 2)
    assert joined == [["drift-sales"], ["drift-sales"]]


async def test_a_supervisor_is_asked_to_roll_while_something_has_changed(
    runtime: Runtime, site: Site, desk: Path
) -> None:
    asked: list[str] = []
    async with DriftWatch(runtime).open(roll=asked.append):
        await asyncio.sleep(0.1)
        assert not asked
        shutil.rmtree(desk)
        install(site, "drift-desk", "1.1")
        wait_until(lambda: len(asked) > 1)
        install(site, "drift-sales", "2.0")
        wait_until(lambda: len(set(asked)) == 2)
