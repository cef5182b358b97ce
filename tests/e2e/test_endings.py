"""How calls and workers end: hang-up, a deleted room, SIGTERM with a live call."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess

StartWorker = Callable[..., WorkerProcess]

TIDY = Package(
    name="tidy-agents",
    modules={
        "tidy_agents.py": """
            import asyncio
            import os
            import pathlib

            from livekit.agents import Agent, get_job_context
            from openrtc import hookimpl

            def note(what):
                with open(os.environ["NOTES"], "a") as file:
                    file.write(what + "\\n")

            class Tidy(Agent):
                def __init__(self):
                    super().__init__(instructions="x")

                async def on_enter(self):
                    context = get_job_context()
                    room = context.room.name
                    for name, seconds in (("quick", 0), ("slow", 1.0), ("with-reason", 0.1)):
                        context.add_shutdown_callback(self.callback(room, name, seconds))

                def callback(self, room, name, seconds):
                    async def bye(reason):
                        await asyncio.sleep(seconds)
                        note(f"{room} {name}")
                    return bye

            @hookimpl
            def openrtc_session_started(call):
                note(f"{call.room_name} started {call.agent_name} {call.decision.rule}")

            @hookimpl
            async def openrtc_session_ended(call, reason):
                note(f"{call.room_name} ended")

            @hookimpl
            def openrtc_shutdown(worker):
                note(f"worker served {worker.served} {worker.isolation}")
        """
    },
    agents={"tidy": "tidy_agents:Tidy"},
    plugins={"notes": "tidy_agents"},
)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    TONE_AGENTS.install_into(tmp_path / "packages")
    return TIDY.install_into(tmp_path / "packages")


def wait_for_lines(path: Path, wanted: set[str], timeout: float = 20.0) -> set[str]:
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        lines = set(path.read_text().splitlines()) if path.exists() else set()
        if wanted <= lines:
            break
        time.sleep(0.1)
    return lines


def test_every_way_to_hang_up_runs_every_shutdown_callback_and_hook(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, packages: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    variables = {"NOTES": str(notes)}
    worker = start_worker("--allow", "tone-agents,tidy-agents", folders=[packages], variables=variables)
    rooms = ["tidy-leaves", "tidy-deleted", "tidy-drained"]
    joined = {room: callers.join(room, api.token(room, "ann")) for room in rooms}
    for room, caller in joined.items():
        caller.wait_for_agent()
        assert f"{room} started tidy room.prefix" in wait_for_lines(notes, {f"{room} started tidy room.prefix"})
    time.sleep(1.0)

    def all_of(room: str) -> set[str]:
        return {f"{room} quick", f"{room} slow", f"{room} with-reason", f"{room} ended"}

    joined["tidy-leaves"].leave()
    api.delete_room("tidy-deleted")
    assert all_of("tidy-leaves") | all_of("tidy-deleted") <= wait_for_lines(
        notes, all_of("tidy-leaves") | all_of("tidy-deleted")
    )
    worker.signal()
    worker.wait_for_log("draining: 1 live calls")
    joined["tidy-drained"].leave()
    assert worker.wait(30.0) == 0
    assert all_of("tidy-drained") | {"worker served 3 coroutine"} <= set(notes.read_text().splitlines())
