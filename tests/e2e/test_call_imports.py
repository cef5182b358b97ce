"""No call waits for an import: a late one would silence every call of the worker meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.speech import Voice
from e2e.worker import WorkerProcess

WATCHED = Package(
    name="watched",
    modules={
        "watched.py": """
            import json
            import os
            import sys

            from livekit.agents import Agent
            from openrtc import AgentSpec, hookimpl


            class Watched(Agent):
                def __init__(self):
                    super().__init__(instructions="You tell the time.")

                async def on_enter(self):
                    self.session.say("Good morning.")


            def note(when):
                with open(os.environ["NOTED"], "a") as file:
                    file.write(json.dumps([when, sorted(sys.modules)]) + "\\n")


            @hookimpl
            def openrtc_agents():
                return [AgentSpec(name="watched", agent=Watched)]


            @hookimpl
            async def openrtc_session_options(call):
                note("begins")


            @hookimpl
            async def openrtc_session_ended(call, reason):
                note("ended")
        """
    },
    agents={"watched": "watched"},
)


def test_a_call_imports_nothing(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, voice: Voice, tmp_path: Path
) -> None:
    folders = [WATCHED.install_into(tmp_path / "packages")]
    noted = tmp_path / "noted"
    worker = start_worker(
        "--allow",
        "watched,openrtc-offline",
        "--offline",
        folders=folders,
        variables={"NOTED": str(noted)},
        alone=True,
    )
    for number in range(2):
        room = f"watched-{number}"
        caller = callers.join(room, api.token(room, "ann"))
        caller.wait_for_agent()
        asked = caller.say(voice.say("what time is it"))
        assert caller.wait_for_answer(asked.ended, quiet=0.4), "the call is held"
        api.delete_room(room)
    worker.stop()
    modules = [set(names) for _, names in map(json.loads, noted.read_text().splitlines())]
    assert len(modules) == 4
    assert modules[1] - modules[0] == set(), "imported by the first call"
    assert modules[3] - modules[2] == set(), "imported by the second call"
