from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from livekit.agents import Agent

from openrtc.catalog.spec import AgentSpec
from openrtc.config import Config, WorkerSettings
from openrtc.errors import OpenRTCError
from openrtc.observe.events import Event, WorkerDraining, WorkerRegistered
from openrtc.observe.snapshot_client import snapshots
from openrtc.worker.health_routes import health_routes
from openrtc.worker.runtime import Runtime, build_runtime
from openrtc.worker.server import WorkerServer

SETTINGS = WorkerSettings(url="ws://127.0.0.1:1", api_key="k", api_secret="s", max_sessions=3)


@pytest.fixture(autouse=True)
def runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for sockets with a short path."""
    with tempfile.TemporaryDirectory(prefix="rt") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def worker(**settings: Any) -> tuple[Runtime, WorkerServer]:
    config = Config(worker=replace(SETTINGS, **settings))
    spec = AgentSpec(name="support", agent=lambda: Agent(instructions="x"))
    runtime = build_runtime(config, specs=[spec], discovered=False)
    return runtime, WorkerServer(runtime, config.worker)


async def answer(runtime: Runtime, server: WorkerServer, path: str) -> tuple[int, str]:
    (route,) = [one for one in health_routes(runtime, server.sight) if one.path == path]
    found: Any = await route.handler(make_mocked_request("GET", path))
    return found.status, found.body.decode() if isinstance(found.body, bytes) else found.text


async def test_a_worker_is_ready_when_it_is_registered_and_not_while_it_drains() -> None:
    runtime, server = worker()
    async with server.sight.open():
        assert await answer(runtime, server, "/ready") == (503, '{"ready": false, "reason": "starting"}')
        assert server.sight.snapshot()["state"] == "starting"
        server.agent_server.emit("worker_registered", "AW_1", None)
        assert await answer(runtime, server, "/ready") == (200, '{"ready": true, "reason": null}')
        server.agent_server.__dict__["_connecting"] = True
        status, text = await answer(runtime, server, "/ready")
        assert status == 503 and "not connected to the LiveKit server" in text
        runtime.events.emit(WorkerDraining(reason="signal", live=0))
        assert await answer(runtime, server, "/ready") == (503, '{"ready": false, "reason": "draining"}')


async def test_the_catalogue_lists_agents_of_the_program_too() -> None:
    runtime, server = worker()
    status, text = await answer(runtime, server, "/agents")
    document = json.loads(text)
    assert (status, document["schema_version"]) == (200, 1)
    (row,) = document["agents"]
    assert (row["name"], row["state"], row["distribution"], row["kind"]) == (
        "support",
        "ready",
        "this program",
        "agent",
    )


async def test_the_registration_is_an_event() -> None:
    runtime, server = worker()
    told: list[Event] = []
    runtime.events.subscribe(told.append)
    server.agent_server.emit("worker_registered", "AW_7", None)
    assert [event.worker_id for event in told if isinstance(event, WorkerRegistered)] == ["AW_7"]


async def test_a_folder_that_cannot_be_used_is_a_warning_and_the_worker_runs(
    runtime_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (runtime_folder / "openrtc").write_text("a file")
    _, server = worker()
    async with server.sight.open():
        pass
    assert "openrtc top cannot see this worker: " in caplog.text


async def test_events_go_to_the_file_until_the_end(tmp_path: Path) -> None:
    runtime, server = worker(metrics_jsonl=str(tmp_path / "events.jsonl"))
    async with server.sight.open():
        runtime.events.emit(WorkerDraining(reason="signal", live=0))
    runtime.events.emit(WorkerDraining(reason="again", live=0))
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "signal" and json.loads(line)["pid"] == os.getpid()


async def test_a_file_that_cannot_be_written_is_an_error_at_start(tmp_path: Path) -> None:
    _, server = worker(metrics_jsonl=str(tmp_path))
    with pytest.raises(OpenRTCError, match="cannot be written: Is a directory"):
        async with server.sight.open():
            pass


async def test_a_worker_whose_loop_is_blocked_can_be_looked_at() -> None:
    _, server = worker()
    async with server.sight.open():
        with ThreadPoolExecutor(1) as looking:
            (seen,) = looking.submit(snapshots).result(timeout=5)  # this blocks the loop until it is answered
    assert (seen["pid"], seen["max_sessions"], seen["calls"]) == (os.getpid(), 3, [])
