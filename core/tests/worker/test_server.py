"""A worker closes its server; with a livekit-agents that it does not know, not longer than calls run."""

from __future__ import annotations

import asyncio

import pytest
from livekit.agents import Agent

from openrtc.model.agents import AgentSpec
from openrtc.runtime.runtime import build_runtime
from openrtc.settings.config import Config, WorkerSettings
from openrtc.worker import job_pool
from openrtc.worker import server as server_module
from openrtc.worker.server import WorkerServer

SPECS = [AgentSpec(name="a", agent=lambda: Agent(instructions="x"))]


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> WorkerServer:
    """A server whose calls have threads of their own, since livekit-agents is another one."""
    monkeypatch.setattr(server_module, "describe_changes", lambda part: f"{part} have changed")
    monkeypatch.setattr(job_pool, "IDLE_THREAD_SECONDS", 0.05)
    return WorkerServer(build_runtime(Config(worker=WorkerSettings(port=0)), specs=SPECS, discovered=False))


async def test_threads_that_run_no_job_and_never_end_are_not_waited_for(
    unknown: WorkerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown.registrations, "aclose", asyncio.Event().wait)
    monkeypatch.setattr(WorkerServer, "jobs", [])
    await asyncio.wait_for(unknown.aclose(), 30.0)


async def test_threads_that_run_a_job_are_waited_for(unknown: WorkerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    over = asyncio.Event()
    looks: list[int] = []

    def jobs(server: WorkerServer) -> list[str]:
        looks.append(len(looks))
        if len(looks) == 3:
            over.set()
        return ["a job"]

    monkeypatch.setattr(unknown.registrations, "aclose", over.wait)
    monkeypatch.setattr(WorkerServer, "jobs", property(jobs))
    await asyncio.wait_for(unknown.aclose(), 30.0)
    assert over.is_set()


async def test_an_error_while_it_closes_is_raised(unknown: WorkerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise ValueError("no such registration")

    monkeypatch.setattr(unknown.registrations, "aclose", fail)
    with pytest.raises(ValueError, match="no such registration"):
        await asyncio.wait_for(unknown.aclose(), 30.0)


def test_a_program_that_runs_every_call_itself_gets_threads_too(unknown: WorkerServer) -> None:
    assert unknown.isolation == "thread"
    assert unknown.kinds == {"a": "thread"}
