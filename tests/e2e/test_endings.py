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
from faults.failing_models import FAULTY_MODELS
from openrtc.speedups.stranded_sources import LEFT_ALONE_SECONDS
from waiting import poll_until

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

BOOKING = Package(
    name="booking-agents",
    modules={
        "booking_agents.py": """
            import asyncio
            import os

            from faulty_models import TonesTTS, ToolCaller
            from livekit.agents import Agent, function_tool, get_job_context

            def note(what):
                with open(os.environ["NOTES"], "a") as file:
                    file.write(what + "\\n")

            class Booking(Agent):
                def __init__(self):
                    super().__init__(instructions="x", llm=ToolCaller(), tts=TonesTTS())

                async def on_enter(self):
                    async def ping(data):
                        return "pong"

                    room = get_job_context().room
                    room.local_participant.register_rpc_method("ping", ping)
                    note("in the room: " + ", ".join(room.remote_participants))
                    self.session.generate_reply(user_input="go")

                @function_tool
                async def look_up(self) -> str:
                    '''Book it.'''
                    note("books")
                    await asyncio.sleep(14)
                    note("booked")
        """
    },
    agents={"booking": "booking_agents:Booking"},
)


DELETING = Package(
    name="deleting-agents",
    modules={
        "deleting_agents.py": """
            from livekit import api
            from livekit.agents import Agent, BackgroundAudioPlayer, get_job_context
            from tone_agents import tone

            class Deleting(Agent):
                def __init__(self):
                    super().__init__(instructions="x")

                async def on_enter(self):
                    context = get_job_context()
                    player = BackgroundAudioPlayer()
                    context.add_shutdown_callback(player.aclose)
                    await player.start(room=context.room, agent_session=self.session)
                    await self.session.say("bye", audio=tone(440.0, 2.0))
                    if context.room.name.startswith("deleting-api"):
                        await context.api.room.delete_room(api.DeleteRoomRequest(room=context.room.name))
                    else:
                        await context.delete_room()
        """
    },
    agents={"deleting": "deleting_agents:Deleting"},
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


def test_a_tool_may_finish_when_its_caller_has_hung_up_and_an_agent_finds_its_room_connected(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    for package in (FAULTY_MODELS, BOOKING):
        package.install_into(tmp_path / "packages")
    allowed = "faulty-models,booking-agents"
    start_worker("--allow", allowed, folders=[tmp_path / "packages"], variables={"NOTES": str(notes)})
    caller = callers.join("booking-1", api.token("booking-1", "ann"))
    started = {"in the room: ann", "books"}
    assert started <= wait_for_lines(notes, started)
    caller.leave()
    assert "booked" in wait_for_lines(notes, {"booked"}, 30.0)


def count_sources(pid: int) -> int:
    """Return how many threads of native audio sources a process has."""
    names = [(task / "comm").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(name.startswith("AudioSource") for name in names)


def test_rooms_that_are_deleted_leave_one_native_source_for_all(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, packages: Path
) -> None:
    worker = start_worker("--allow", "tone-agents", folders=[packages])
    for number in range(4):
        room = f"alpha-deleted-{number}"
        caller = callers.join(room, api.token(room, "ann"), speaks=False)
        assert caller.wait_for_answer(0.0, quiet=0.0) is not None
        api.delete_room(room)
        poll_until(lambda: worker.snapshot()["sessions"] == 0)
        time.sleep(LEFT_ALONE_SECONDS)
    poll_until(lambda: count_sources(worker.pid) <= 1)


@pytest.mark.realtime
def test_an_agent_that_deletes_its_room_leaves_no_native_source_and_is_heard_to_the_end(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, packages: Path, tmp_path: Path
) -> None:
    folders = [packages, DELETING.install_into(tmp_path / "deleting")]
    options = ("--allow", "tone-agents,deleting-agents", "--speedups", "native")
    worker = start_worker(*options, folders=folders)  # without `playout`, which uses stranded sources again
    rooms = ("deleting-api", "deleting-context")
    joined = [callers.join(room, api.token(room, "ann"), speaks=False) for room in rooms]
    for caller in joined:
        answer = caller.wait_for_answer(0.0)
        assert answer is not None and answer.ended - answer.began > 1.5
    poll_until(lambda: worker.snapshot()["sessions"] == 0)
    poll_until(lambda: count_sources(worker.pid) == 0)
