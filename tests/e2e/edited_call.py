"""A package that is edited while a caller talks to its agent, and the call."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from e2e.agent_packages import QUESTION, QUESTION_HZ
from e2e.callers import Caller, CallersProcess
from e2e.energy import LOUD
from e2e.packages import Package
from e2e.pcm import RATE, tone
from e2e.recording import Recording
from e2e.server_api import ServerApi
from e2e.tones import who_was_heard

EDITED = Package(
    name="edited-agents",
    modules={
        "edited/__init__.py": """
            from pathlib import Path

            from livekit.agents import Agent, function_tool

            from edited.state import Mode, State
            from edited.voice import speak
            from edited_helper import VERSION
            from openrtc import AgentSpec
            from e2e.reload_agents import build_spec

            PROMPT = Path(__file__).with_name("prompt.txt").read_text().strip()


            class Desk(Agent):
                def __init__(self):
                    super().__init__(instructions=PROMPT)
                    self.reloads = 0

                async def on_enter(self):
                    self.session.say("hello there")

                async def on_exit(self):
                    self.session.say("good bye")

                def on_reload(self, old):
                    self.reloads = old.reloads + 1

                async def llm_node(self, chat_ctx, tools, model_settings):
                    heard = sum(getattr(item, "role", "") == "user" for item in chat_ctx.items)
                    state = self.session.userdata
                    kept = isinstance(state, State) and state.mode is Mode.OPEN
                    return f"{VERSION} {PROMPT} heard {heard} reloads {self.reloads} kept {kept}"

                def tts_node(self, text, model_settings):
                    return speak(text)


            def warm(process):
                process.userdata["warm"] = True


            DESK = build_spec(agent=Desk, userdata=lambda: State(), prewarm=warm)
            PINNED = build_spec(agent=Desk, userdata=lambda: State(), pin_reload=True)
        """,
        "edited/state.py": """
            import enum
            from dataclasses import dataclass


            class Mode(enum.Enum):
                OPEN = "open"


            @dataclass
            class State:
                mode: Mode = Mode.OPEN
        """,
        "edited/voice.py": """
            from e2e.reload_agents import play

            HZ = 800.0


            async def speak(text):
                async for _ in text:
                    pass
                async for frame in play(HZ, 0.6):
                    yield frame
        """,
        "edited/prompt.txt": "prompt-1",
        "edited/hooks.py": """
            import logging

            from openrtc import hookimpl

            WORD = "hook-1"


            @hookimpl
            def openrtc_session_options(call):
                logging.getLogger("edited").info("CASE %s %s", WORD, call.agent_name)
        """,
    },
    agents={"desk": "edited:DESK", "pinned": "edited:PINNED"},
    plugins={"hooks": "edited.hooks"},
)

HELPER = "VERSION = 'version-1'\n"

ADDED = Package(
    name="added-agents",
    modules={"added.py": "from edited import DESK as ADDED\n"},
    agents={"added": "added:ADDED"},
)
STEADY = Package(name="steady-agents", agents={"steady": "e2e.reload_agents:steady"})


class EditedCall:
    """A package in a folder, and a caller who talks to its agent.

    Args:
        folder: Where the packages and events are.
    """

    def __init__(self, folder: Path) -> None:
        self.packages = EDITED.install_into(STEADY.install_into(folder / "packages"))
        self.helpers = folder / "helpers"
        self.helpers.mkdir()
        (self.helpers / "edited_helper.py").write_text(HELPER)
        self.events_file = folder / "events.jsonl"
        self.options = ["--metrics-jsonl", str(self.events_file), "--words", "full"]
        self._caller: Caller | None = None

    def join(self, people: CallersProcess, api: ServerApi, room: str = "desk-1") -> Caller:
        """Let the caller join."""
        self._caller = people.join(room, api.token(room, "ann"))
        return self._caller

    def edit(self, name: str, text: str, *, in_place: bool = False) -> float:
        """Save a file of the package, or of the helper; return when."""
        path = self.helpers / name if name == "edited_helper.py" else self.packages / "edited" / name
        if in_place:
            path.write_text(text)
        else:
            path.with_suffix(".tmp").write_text(text)
            os.replace(path.with_suffix(".tmp"), path)
        return time.time()

    def read(self, name: str) -> str:
        """Return a file of the package."""
        return (self.packages / "edited" / name).read_text()

    def events(self, kind: str, since: float = 0.0, **values: Any) -> list[dict[str, Any]]:
        """Return what the worker has told of one kind."""
        lines = self.events_file.read_text().splitlines() if self.events_file.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("}")]
        return [one for one in found if one["event"] == kind and one["time"] > since and values.items() <= one.items()]

    def wait_for(self, kind: str, since: float = 0.0, timeout: float = 15.0, **values: Any) -> dict[str, Any]:
        """Return the first event of a kind with some values after a time."""
        until = time.monotonic() + timeout
        while not (found := self.events(kind, since, **values)):
            told = [one for kind in ("code_reloaded", "call_reloaded") for one in self.events(kind, since)]
            assert time.monotonic() < until, f"no {kind} in {timeout:g} s, but {told}"
            time.sleep(0.01)
        return found[0]

    def ask(self) -> dict[str, Any]:
        """Say something, and return the turn of the agent that answers it."""
        assert self._caller is not None
        began = time.time()
        self._caller.say(tone(QUESTION_HZ, 0.5))
        until = time.monotonic() + 20.0
        while True:  # a busy machine may hear one question as two, of which the second one interrupts
            turns = [turn for turn in self.events("turn_completed", began) if QUESTION in turn["heard"]]
            if whole := [turn for turn in turns if turn["said"] and not turn["interrupted"]]:
                return whole[0]
            assert time.monotonic() < until, f"no answer, but {self.events('turn_completed', began)}"
            time.sleep(0.01)

    def start_asking(self) -> None:
        """Say something."""
        assert self._caller is not None
        self._caller.say(tone(QUESTION_HZ, 0.5))

    def wait_for_tone(self, frequency: float) -> None:
        """Wait until the caller hears a tone."""
        assert self._caller is not None
        until = time.monotonic() + 15.0
        while not any(who_was_heard(one.sound, {"it": frequency}) for one in self._caller.recordings()):
            assert time.monotonic() < until, "nothing was heard"
            time.sleep(0.1)


def find_longest_hole(recording: Recording, since: float, until: float) -> float:
    """Return the longest silence between two times, in seconds."""
    sound = recording.between(since, until).astype(np.float64)
    window = RATE // 50
    powers = [np.sqrt(np.mean(sound[start : start + window] ** 2)) for start in range(0, len(sound), window)]
    longest = here = 0
    for power in powers:
        here = 0 if power >= LOUD else here + 1
        longest = max(longest, here)
    return longest * window / RATE
