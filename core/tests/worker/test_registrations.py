"""The registrations of a worker start after the first, count as one, and end with it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from livekit.agents import Agent, utils

from openrtc.model.agents import AgentSpec
from openrtc.observe.events import Event, WorkerRegistered
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, WorkerSettings
from openrtc.upstream.names import FurtherAgentServer
from openrtc.worker.registrations import Registrations
from openrtc.worker.server import WorkerServer
from waiting import wait_until

SPECS = [AgentSpec(name=name, agent=lambda: Agent(instructions="x")) for name in ("a", "b")]


def worker(agent_name: str) -> tuple[Runtime, WorkerServer]:
    settings = WorkerSettings(url="ws://127.0.0.1:9", api_key="k", api_secret="s", port=0, agent_name=agent_name)
    runtime = build_runtime(Config(worker=settings), specs=SPECS, discovered=False)
    return runtime, WorkerServer(runtime, child_arguments={})


class OneServer(utils.EventEmitter[str]):
    """Stands for livekit-agents' server: it runs until it is closed, and writes down what happens."""

    def __init__(self, name: str, diary: list[str]) -> None:
        super().__init__()
        self._name = name
        self._diary = diary
        self._over = asyncio.Event()
        self.failure: Exception | None = None
        self.draining = False

    async def run(self) -> None:
        self._diary.append(f"run {self._name}")
        await asyncio.sleep(0)
        self.emit("worker_started")
        await self._over.wait()
        if self.failure:
            raise self.failure

    async def drain(self) -> None:
        self._diary.append(f"drain {self._name}")

    async def aclose(self) -> None:
        self._diary.append(f"close {self._name}")
        self._over.set()

    def fail(self, error: Exception) -> None:
        self.failure = error
        self._over.set()


@pytest.fixture
def diary() -> list[str]:
    return []


def three(diary: list[str]) -> tuple[dict[str, OneServer], Registrations, list[tuple[str, str]]]:
    servers = {name: OneServer(name, diary) for name in ("x", "y", "z")}
    told: list[tuple[str, str]] = []
    some: Any = servers
    return servers, Registrations(some, lambda name, worker_id: told.append((name, worker_id))), told


async def test_the_first_one_starts_first_and_closes_last(diary: list[str]) -> None:
    _, registrations, _ = three(diary)
    running = asyncio.create_task(registrations.run())
    await wait_until(lambda: len(diary) == 3)
    await registrations.drain()
    await registrations.aclose()
    await running
    assert diary == ["run x", "run y", "run z", *(f"drain {n}" for n in "xyz"), "close y", "close z", "close x"]


async def test_one_that_fails_ends_all(diary: list[str]) -> None:
    servers, registrations, _ = three(diary)
    running = asyncio.create_task(registrations.run())
    await wait_until(lambda: len(diary) == 3)
    servers["y"].fail(RuntimeError("lost"))
    with pytest.raises(RuntimeError, match="lost"):
        await running
    await registrations.aclose()


class Refused(Exception):
    status = 401


def log_refusal() -> None:
    """Log what livekit-agents does where the server refuses a key."""
    logger = logging.getLogger("livekit.agents")
    logger.warning("failed to connect to livekit, retrying in 0s", extra={"error": Refused()})


async def test_a_key_that_the_server_refuses_from_the_start_ends_them_at_once(
    diary: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    servers, registrations, _ = three(diary)
    servers["x"].run = lambda: refuse(servers["x"])  # type: ignore[method-assign]  # this one's alone

    async def refuse(server: OneServer) -> None:
        log_refusal()
        await OneServer.run(server)

    await asyncio.wait_for(registrations.run(), 5.0)
    assert registrations.refused
    assert not caplog.records, "it is said once, by whoever ends the worker"
    await registrations.aclose()


async def test_a_key_that_was_right_before_is_tried_again(diary: list[str], caplog: pytest.LogCaptureFixture) -> None:
    servers, registrations, _ = three(diary)
    servers["x"].emit("worker_registered", "AW_1", None)
    servers["x"].run = lambda: refuse(servers["x"])  # type: ignore[method-assign]  # this one's alone

    async def refuse(server: OneServer) -> None:
        log_refusal()
        await OneServer.run(server)

    running = asyncio.create_task(registrations.run())
    await wait_until(lambda: len(diary) == 3)
    assert not registrations.refused and not running.done()
    assert "failed to connect" in caplog.text
    await registrations.aclose()
    await running


async def test_none_is_started_after_a_drain_has_begun(diary: list[str]) -> None:
    _, registrations, _ = three(diary)
    running = asyncio.create_task(registrations.run())
    await asyncio.sleep(0)
    await registrations.drain()
    await registrations.aclose()
    await running
    assert diary == ["run x", "drain x", "close x"]


async def test_they_are_complete_when_the_server_has_registered_all(diary: list[str]) -> None:
    servers, registrations, told = three(diary)
    complete: list[bool] = []
    registrations.on_complete(lambda: complete.append(True))
    for number, server in enumerate(servers.values()):
        assert not registrations.complete
        server.emit("worker_registered", f"AW_{number}", None)
    assert registrations.complete and complete == [True]
    assert told == [("x", "AW_0"), ("y", "AW_1"), ("z", "AW_2")]


async def test_one_that_is_added_later_changes_nothing_for_the_others_whatever_becomes_of_it(
    diary: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    servers, registrations, told = three(diary)
    running = asyncio.create_task(registrations.run())
    await wait_until(lambda: len(diary) == 3)
    for name, server in servers.items():
        server.emit("worker_registered", f"AW_{name}", None)
    late: Any = OneServer("late", diary)
    registrations.add("late", late)
    assert registrations.complete and registrations.names == ("x", "y", "z", "late")
    await wait_until(lambda: "run late" in diary)
    late.emit("worker_registered", "AW_late", None)
    assert told[-1] == ("late", "AW_late")
    late.fail(RuntimeError("lost"))
    await wait_until(lambda: "late" not in registrations.names)
    assert not running.done() and "not registered as 'late' any more: RuntimeError: lost" in caplog.text
    await registrations.aclose()
    await running


async def test_each_agent_is_registered_under_its_name_and_told() -> None:
    runtime, server = worker("per-agent")
    told: list[Event] = []
    runtime.events.subscribe(told.append)
    assert server.registrations.names == ("a", "b")
    assert isinstance(server.registrations._servers["b"], FurtherAgentServer)
    assert server.monitor.why_unready() == "starting"
    for name in ("a", "b"):
        server.registrations._servers[name].emit("worker_registered", f"AW_{name}", None)
    registered = [event for event in told if isinstance(event, WorkerRegistered)]
    assert [(event.agent_name, event.worker_id) for event in registered] == [("a", "AW_a"), ("b", "AW_b")]
    assert server.monitor.why_unready() is None
    assert server.monitor.snapshot()["agent_names"] == ["a", "b"]


async def test_automatic_dispatch_beside_names_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    worker("per-agent")
    assert "automatic dispatch beside names" not in caplog.text
    _, server = worker("per-agent,automatic")
    assert server.registrations.names == ("", "a", "b")
    assert "'per-agent,automatic': automatic dispatch beside names" in caplog.text


async def test_a_name_that_a_platform_forces_is_the_only_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LIVEKIT_AGENT_NAME_OVERRIDE", "sim-1")
    _, server = worker("per-agent")
    assert server.registrations.names == ("sim-1",)
    assert server.registrations.first._agent_name == "sim-1"
    assert "LIVEKIT_AGENT_NAME_OVERRIDE is set: this worker is registered as 'sim-1' only" in caplog.text
