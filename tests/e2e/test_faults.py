"""One agent fails in every way that it can; another caller goes on hearing its own agent."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.callers import CallersProcess
from e2e.energy import longest_hole
from e2e.hearing import Ears
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import TRACEBACK, WorkerProcess

StartWorker = Callable[..., WorkerProcess]

pytestmark = pytest.mark.alone

LISTENING = 9.0
ROOM_FOR_NOISE = 0.7
"""Seconds by which the longest hole of a bystander may differ between two runs on a busy machine."""

FAULTY = Package(
    name="faulty-agents",
    modules={
        "faulty_agents.py": """
            import asyncio
            import sys

            from livekit.agents import Agent, function_tool

            class Faulty(Agent):
                def __init__(self):
                    super().__init__(instructions="x")

            class RaisesInInit(Faulty):
                def __init__(self):
                    raise ValueError("no configuration")

            class ExitsInInit(Faulty):
                def __init__(self):
                    sys.exit("no configuration")

            class RaisesInEnter(Faulty):
                async def on_enter(self):
                    raise KeyError("customer")

            class ExitsInEnter(Faulty):
                async def on_enter(self):
                    sys.exit(4)

            class ExitsInTask(Faulty):
                async def on_enter(self):
                    async def background():
                        await asyncio.sleep(0.2)
                        sys.exit(5)
                    self.task = asyncio.create_task(background())

            class ExitsInCallback(Faulty):
                async def on_enter(self):
                    asyncio.get_running_loop().call_later(0.2, sys.exit, 6)

            class FailsInTools(Faulty):
                @function_tool
                async def break_down(self) -> str:
                    \"\"\"Break down.\"\"\"
                    raise RuntimeError("the order system is down")

                @function_tool
                async def leave_now(self) -> str:
                    \"\"\"Leave now.\"\"\"
                    sys.exit(7)

                @function_tool
                async def secret_word(self) -> str:
                    \"\"\"Tell the secret word.\"\"\"
                    return "The secret word is harbor."

            async def factory_that_raises():
                raise LookupError("no such tenant")

            def factory_of_something_else():
                return "an agent"
        """
    },
    agents={
        "init-raises": "faulty_agents:RaisesInInit",
        "init-exits": "faulty_agents:ExitsInInit",
        "enter-raises": "faulty_agents:RaisesInEnter",
        "enter-exits": "faulty_agents:ExitsInEnter",
        "task-exits": "faulty_agents:ExitsInTask",
        "callback-exits": "faulty_agents:ExitsInCallback",
        "factory-raises": "faulty_agents:factory_that_raises",
        "factory-lies": "faulty_agents:factory_of_something_else",
        "tools": "faulty_agents:FailsInTools",
    },
)
ENDED = ("init-raises", "init-exits", "enter-raises", "enter-exits", "factory-raises", "factory-lies")
GOES_ON = ("task-exits", "callback-exits")


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    TONE_AGENTS.install_into(tmp_path / "packages")
    return FAULTY.install_into(tmp_path / "packages")


def bystanders_hole(callers: CallersProcess, api: ServerApi, name: str, faults: Callable[[], None]) -> float:
    """Return the longest hole that a caller of a steady agent hears while ``faults`` happen."""
    caller = callers.join(name, api.token(f"steady-{name}", "bystander"))
    caller.wait_for("track_subscribed", 20.0)
    time.sleep(1.0)
    began = time.time()
    faults()
    time.sleep(max(0.0, LISTENING - (time.time() - began)))
    listened = time.time() - began
    (recording,) = caller.recordings()
    caller.leave()
    sound = recording.between(began, began + listened)
    assert len(sound) > 0.9 * listened * 16_000, "the bystander was cut off"
    return longest_hole(sound)


def test_agents_that_fail_end_their_own_call_only(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, packages: Path
) -> None:
    worker = start_worker("--allow", "tone-agents,faulty-agents", folders=[packages])
    control = bystanders_hole(callers, api, "control", lambda: None)

    def fail_everywhere() -> None:
        for name in (*ENDED, *GOES_ON):
            api.create_room(f"{name}-1")

    disturbed = bystanders_hole(callers, api, "disturbed", fail_everywhere)
    assert disturbed <= control + ROOM_FOR_NOISE
    assert worker.running

    for name in ENDED:
        (line,) = worker.records(f"agent '{name}' .*this call is ended")
        assert line["level"] == "error"
        assert re.search(r"faulty_agents|returned a str, not an Agent", line["message"]), "the place is told"
    (line,) = worker.records(r"a task raised SystemExit\(5\) at .*faulty_agents")
    assert line["agent"] == "task-exits"
    assert len(worker.records("a callback raised SystemExit")) == 1
    assert TRACEBACK not in worker.log()
    left = api.agents_in([f"{name}-1" for name in ENDED])
    assert left == {f"{name}-1": [] for name in ENDED}, "no silent participant is left"
    for name in (*ENDED, *GOES_ON):
        api.delete_room(f"{name}-1")


SECRET = "The secret word is harbor."
OTHER_ANSWERS = ("Sorry, that did not work.", "Hello, this is tools. How can I help you?")


def test_tools_that_fail_leave_the_call_and_the_others_alone(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, packages: Path, ears: Ears
) -> None:
    worker = start_worker("--offline", "--allow", "tone-agents,faulty-agents,openrtc-offline", folders=[packages])
    heard: list[str | None] = []

    def ask_for_trouble() -> None:
        caller = callers.join("asker", api.token("tools-1", "asker"))
        caller.wait_for_agent()
        for wish in ("please break down", "please leave now", "tell the secret word"):
            asked = time.time()
            caller.send_text(wish)
            answer = caller.wait_for_answer(asked, timeout=15.0)
            assert answer is not None, f"nothing was said to {wish!r}"
            (recording,) = caller.recordings()
            sound = recording.between(asked, answer.ended + 0.2)
        heard.append(ears.which(sound, [SECRET, *OTHER_ANSWERS]))
        caller.leave()

    control = bystanders_hole(callers, api, "control-tools", lambda: None)
    disturbed = bystanders_hole(callers, api, "disturbed-tools", ask_for_trouble)
    assert disturbed <= control + ROOM_FOR_NOISE
    assert worker.running
    assert heard == [SECRET], "after two tools that failed, the third one answers in the same call"
