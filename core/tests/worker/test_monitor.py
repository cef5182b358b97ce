from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from livekit.agents import Agent
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.hung_package import IMPORT, name_hung
from openrtc.observe.events import CallEnded, CallLeftBehind, Event, WorkerDraining, WorkerRegistered
from openrtc.observe.snapshots import read_snapshots
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, WorkerSettings
from openrtc.worker.health_routes import build_health_routes
from openrtc.worker.server import WorkerServer

pytestmark = pytest.mark.usefixtures("runtime_folder")

SETTINGS = WorkerSettings(url="ws://127.0.0.1:1", api_key="k", api_secret="s", max_sessions=3)


def worker(**settings: Any) -> tuple[Runtime, WorkerServer]:
    config = Config(worker=replace(SETTINGS, **settings))
    spec = AgentSpec(name="support", agent=lambda: Agent(instructions="x"))
    runtime = build_runtime(config, specs=[spec], discovered=False)
    return runtime, WorkerServer(runtime)


async def answer(runtime: Runtime, server: WorkerServer, path: str) -> tuple[int, str]:
    (route,) = [one for one in build_health_routes(runtime, server.monitor) if one.path == path]
    found: Any = await route.handler(make_mocked_request("GET", path))
    return found.status, found.body.decode() if isinstance(found.body, bytes) else found.text


async def test_a_worker_is_ready_when_it_is_registered_and_not_while_it_drains() -> None:
    runtime, server = worker()
    async with server.monitor.open():
        beat = '"max_sessions": 3, "loop_beat_seconds": 0.0}'
        assert await answer(runtime, server, "/ready") == (503, '{"ready": false, "reason": "starting", ' + beat)
        assert server.monitor.snapshot()["state"] == "starting"
        server.agent_server.emit("worker_registered", "AW_1", None)
        assert await answer(runtime, server, "/ready") == (200, '{"ready": true, "reason": null, ' + beat)
        server.monitor.beat_age = lambda: 12.0
        snapshot = server.monitor.snapshot()
        assert (snapshot["state"], snapshot["loop_beat_seconds"]) == ("blocked", 12.0)
        blocked = '{"ready": false, "reason": "blocked", "max_sessions": 3, "loop_beat_seconds": 12.0}'
        assert await answer(runtime, server, "/ready") == (503, blocked)
        assert "openrtc_loop_beat_age_seconds 12" in (await answer(runtime, server, "/metrics"))[1]
        server.monitor.beat_age = float
        server.agent_server.__dict__["_connecting"] = True
        status, text = await answer(runtime, server, "/ready")
        assert status == 503 and "not connected to the LiveKit server" in text
        runtime.events.emit(WorkerDraining(reason="signal", live=0))
        assert await answer(runtime, server, "/ready") == (503, '{"ready": false, "reason": "draining", ' + beat)


async def test_what_a_start_leaves_out_and_what_it_waits_for_stands_in_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, _ = worker()
    hung = name_hung("my-hung", IMPORT, 60, None)
    runtime = replace(runtime, config=replace(runtime.config, hung=(hung,)))
    server = WorkerServer(runtime)
    monkeypatch.setattr(
        "openrtc.worker.health_routes.describe_hang", lambda: "my-slow 1.0: its import has been running"
    )
    status, text = await answer(runtime, server, "/ready")
    said = json.loads(text)
    assert (status, said["reason"]) == (503, "starting: my-slow 1.0: its import has been running")
    assert said["left_out"] == server.monitor.snapshot()["left_out"] == {"my-hung": hung.reason}


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
    async with server.monitor.open():
        pass
    assert "openrtc top cannot see this worker: " in caplog.text


async def test_events_go_to_the_file_until_the_end(tmp_path: Path) -> None:
    runtime, server = worker(metrics_jsonl=str(tmp_path / "events.jsonl"))
    async with server.monitor.open():
        runtime.events.emit(WorkerDraining(reason="signal", live=0))
    runtime.events.emit(WorkerDraining(reason="again", live=0))
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "signal" and json.loads(line)["pid"] == os.getpid()


async def test_a_file_that_cannot_be_written_is_an_error_at_start(tmp_path: Path) -> None:
    _, server = worker(metrics_jsonl=str(tmp_path))
    with pytest.raises(OpenRTCError, match="cannot be written: Is a directory"):
        async with server.monitor.open():
            pass


async def test_a_worker_whose_loop_is_blocked_can_be_looked_at() -> None:
    _, server = worker()
    async with server.monitor.open():
        with ThreadPoolExecutor(1) as looking:
            (seen,) = looking.submit(read_snapshots).result(timeout=5)  # this blocks the loop until it is answered
    assert (seen["pid"], seen["max_sessions"], seen["calls"]) == (os.getpid(), 3, [])


async def test_what_calls_leave_behind_and_the_growth_a_call_are_in_the_snapshot_and_the_metrics() -> None:
    runtime, server = worker()
    fields: dict[str, Any] = {"job_id": "AJ_1", "room": "r", "agent": "desk", "distribution": "my-desk"}
    async with server.monitor.open():
        assert server.monitor.snapshot()["growth_estimate"] is None
        runtime.events.emit(CallLeftBehind(**fields, left_by="my-desk", tasks=1, threads=0, rooms=0, place="x"))
        for ended in range(10, 60, 10):
            server.monitor.growth.look(ended, 0)
        seen = server.monitor.snapshot()
        _, metrics = await answer(runtime, server, "/metrics")
    assert seen["left_behind"] == {"my-desk": {"calls": 1, "tasks": 1, "threads": 0, "rooms": 0, "place": "x"}}
    assert seen["growth_estimate"]["calls"] == 40
    assert 'openrtc_left_behind_total{distribution="my-desk",kind="tasks"} 1.0' in metrics
    assert "openrtc_growth_bytes_per_call " in metrics and "openrtc_growth_descriptors_per_call " in metrics


async def test_the_other_workers_hear_which_dispatches_are_answered_while_the_calls_are_live() -> None:
    runtime, server = worker()
    jobs = [proto.Job(id=f"AJ_{n}", dispatch_id=f"AD_{n}", room=models.Room(name="r", sid="RM_1")) for n in (1, 2)]
    pool: Any = SimpleNamespace(
        processes=[SimpleNamespace(running_job=SimpleNamespace(job=job)) for job in jobs],
        is_ending=lambda job_id: False,
        blocking=set(),
    )
    server._pool = pool
    async with server.monitor.open():
        assert [one["id"] for one in server.monitor.snapshot()["dispatches"]] == ["AD_1", "AD_2"]
        assert server.list_answered("RM_2") == []
        runtime.events.emit(CallEnded(job_id="AJ_1", room="r", reason="x", seconds=1.0))
        assert [one.id for one in server.list_answered("RM_1")] == ["AD_2"]
        pool.is_ending = lambda job_id: True
        assert server.list_answered() == []
        pool.is_ending = lambda job_id: False
        server.agent_server.__dict__["_connecting"] = True
        assert server.monitor.snapshot()["dispatches"] == [], "its agents do not come back"
