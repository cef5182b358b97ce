"""What livekit-agents calls at the end of a call reaches the agent whose call it is."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
from livekit.agents import AgentServer, JobContext

from openrtc.model.agents import AgentSpec
from openrtc.model.decision import Decision
from openrtc.observe.events import CallError, Event
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, WorkerSettings
from openrtc.worker.callbacks import choose_callbacks
from openrtc.worker.direct_job import build_job, launch_job, start_unregistered, stop_unregistered, wait_until_idle
from openrtc.worker.server import WorkerServer

VERDICT: Any = object()


async def simulated(context: JobContext) -> None:
    """End as a simulator lets a call end."""
    await context._simulation_end_fnc(VERDICT)  # type: ignore[misc]  # as `SessionHost` does, when somebody asks for it
    context.shutdown("over")


def runtime_of(**specs: Any) -> Runtime:
    made = [AgentSpec(name=name, entrypoint=simulated, **callbacks) for name, callbacks in specs.items()]
    return build_runtime(Config(worker=WorkerSettings(port=0)), specs=made, discovered=False)


async def hold(runtime: Runtime, *agents: str) -> list[Event]:
    """Hold a call with each agent, one after the other, without a server."""
    told: list[Event] = []
    runtime.events.subscribe(told.append)
    server = WorkerServer(runtime)
    running = await start_unregistered(server)
    try:
        for agent in agents:
            await launch_job(server, build_job(f"{agent}-1"), Decision.to(agent), without_room=True)
            await wait_until_idle(server)
    finally:
        await stop_unregistered(server, running)
    return told


@pytest.mark.own_process
async def test_each_agents_own_are_called_and_what_they_raise_is_one_line_of_their_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[tuple[str, Any]] = []

    async def end_one(context: JobContext) -> None:
        seen.append(("one ended", context.job.room.name))

    async def end_two(context: JobContext) -> None:
        seen.append(("two ended", context.job.room.name))
        sys.exit("in a callback")

    def simulation_end(simulation: Any) -> None:  # sync or async, as livekit-agents takes it
        seen.append(("simulation ended", simulation))

    runtime = runtime_of(
        one={"on_session_end": end_one},
        two={"on_session_end": end_two, "on_simulation_end": simulation_end},
        plain={},
    )
    with caplog.at_level(logging.ERROR):
        told = await hold(runtime, "one", "two", "plain")
    assert seen == [("one ended", "one-1"), ("simulation ended", VERDICT), ("two ended", "two-1")]
    assert [event.agent for event in told if isinstance(event, CallError)] == ["two"]
    lines = [record.getMessage() for record in caplog.records if "on_session_end" in record.getMessage()]
    (line,) = lines
    assert line.startswith("agent 'two': its on_session_end failed: ") and "test_callbacks.py:" in line


def test_what_no_agent_has_is_not_registered() -> None:
    async def end(context: Any) -> None: ...

    assert choose_callbacks(runtime_of(one={}, two={})) == {}
    assert list(choose_callbacks(runtime_of(one={}, two={"on_session_end": end}))) == ["on_session_end"]
    server = WorkerServer(runtime_of(one={"on_simulation_end": end})).agent_server
    assert isinstance(server, AgentServer)
    assert (server._session_end_fnc, server._simulation_end_fnc is None) == (None, False)
