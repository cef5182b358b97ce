"""Three packages of flat modules with the same names, in one worker: each call hears its own agent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS, TONES
from e2e.tones import who_was_heard
from e2e.worker import WorkerProcess

AGENT = """
import asyncio
import importlib
from tone_agents import ToneAgent
from prompts import NAME

class Assistant(ToneAgent):
    async def on_enter(self):
        import protocol
        names = {NAME, protocol.NAME, await asyncio.to_thread(look_up), importlib.import_module("config").NAME}
        if names == {(await asyncio.to_thread(importlib.import_module, "words")).NAME}:
            self.frequency = protocol.TONES[NAME]
            await super().on_enter()

def look_up():
    from tools import NAME
    return NAME
"""


def _build(name: str) -> Package:
    own = f"NAME = '{name}'\nTONES = {TONES}\n"
    modules = {"agent.py": AGENT} | {
        f"{module}.py": own for module in ("prompts", "protocol", "config", "tools", "words")
    }
    return Package(name=f"e2e-{name}", modules=modules, agents={f"flat-{name}": "agent:Assistant"})


@pytest.mark.realtime
def test_each_call_hears_its_own_agent_in_the_worker_and_in_a_process(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    packages = [TONE_AGENTS, *map(_build, TONES)]
    folders = [package.install_into(tmp_path / package.name) for package in packages]
    isolation = ("--isolate", "flat-beta=thread,flat-gamma=process")
    start_worker("--allow", "tone-agents,e2e-alpha,e2e-beta,e2e-gamma", *isolation, folders=folders, isolates=True)
    rooms = {name: callers.join(name, api.token(f"flat-{name}-1", "ann"), speaks=False) for name in TONES}
    for name, caller in rooms.items():
        assert caller.wait_for_answer(0.0, timeout=40.0) is not None
        (recording,) = caller.recordings()
        assert recording.identity.startswith(f"flat-{name}-")
        assert who_was_heard(recording.sound, TONES) == {name}
        caller.leave()
