"""A worker closes its server; with a livekit-agents that it does not know, not longer than calls run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from livekit.agents import Agent

from openrtc.model.agents import AgentSpec
from openrtc.runtime.runtime import build_runtime
from openrtc.settings.config import Config, Policy, WorkerSettings
from openrtc.worker import job_pool
from openrtc.worker import server as server_module
from openrtc.worker.server import WorkerServer

if TYPE_CHECKING:
    from conftest import Site

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


SERVER = """
from livekit.agents import AgentServer, JobContext, WorkerPermissions, WorkerType

server = AgentServer(permissions=WorkerPermissions(hidden=True))

@server.rtc_session(agent_name="{name}", type=WorkerType.PUBLISHER)
async def entrypoint(ctx: JobContext): ...
"""


def build_server(site: Site, agent_name: str = "", **names: str) -> WorkerServer:
    for agent, name in names.items():
        site.add(f"my-{agent}", agents={agent: f"{agent}:server"}, files={f"{agent}.py": SERVER.format(name=name)})
    settings = WorkerSettings(port=0, agent_name=agent_name)
    return WorkerServer(
        build_runtime(Config(worker=settings, policy=Policy(allow=tuple(f"my-{name}" for name in names))))
    )


def test_a_name_in_an_agents_code_is_a_registration_with_what_it_asks_for(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    server = build_server(site, front="reception")
    assert server.registrations.names == ("", "reception")
    automatic, named = server.registrations._servers.values()
    assert (automatic._permissions.hidden, automatic._server_type.name) == (False, "ROOM")
    assert (named._permissions.hidden, named._server_type.name) == (True, "PUBLISHER")
    assert "automatic dispatch beside names" not in caplog.text, "nobody gets an automatic call"


def test_a_name_that_two_have_is_no_registration_and_one_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    server = build_server(site, one="my-agent", two="my-agent", three="mine")
    assert server.registrations.names == ("", "mine")
    assert "agent name 'my-agent' is that of 'one' and 'two': it is not registered" in caplog.text


@pytest.mark.parametrize(
    ("setting", "registered"),
    [("desk", ("desk",)), ("desk,reception", ("desk", "reception")), ("per-agent", ("front",))],
)
def test_where_the_operator_gives_names_only_those_are_registered(
    site: Site, setting: str, registered: tuple[str, ...]
) -> None:
    assert build_server(site, setting, front="reception").registrations.names == registered
