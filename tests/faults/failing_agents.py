"""Agents that fail in every place in which an agent's code runs, and one that never fails."""

from __future__ import annotations

from e2e.packages import Package

HOW = {"raises": "an error", "exits": "SystemExit", "interrupts": "KeyboardInterrupt"}
"""What is raised, by the ending of the agent's name."""

PLACES = {
    "init": "__init__",
    "factory": "the factory",
    "enter": "on_enter",
    "tool": "a tool",
    "task": "a task",
    "callback": "a callback of the loop",
}

SOURCE = """
import asyncio
import os
import time

from livekit.agents import Agent, function_tool
from faulty_models import TonesTTS, ToolCaller

running = set()
ERRORS = {"raises": ValueError, "exits": SystemExit, "interrupts": KeyboardInterrupt}


def fail(how):
    raise ERRORS[how]("no configuration")


class Plain(Agent):
    def __init__(self, **more):
        super().__init__(instructions="x", **more)


def failing_in(place, how):
    class Init(Plain):
        def __init__(self):
            fail(how)

    class Enter(Plain):
        async def on_enter(self):
            fail(how)

    class Tool(Plain):
        def __init__(self):
            super().__init__(llm=ToolCaller(), tts=TonesTTS())

        async def on_enter(self):
            self.session.generate_reply(user_input="go")

        @function_tool
        async def look_up(self) -> str:
            '''Look it up.'''
            fail(how)

    class Task(Plain):
        async def on_enter(self):
            async def background():
                fail(how)
            task = asyncio.create_task(background())
            running.add(task)
            task.add_done_callback(running.discard)

    class Callback(Plain):
        async def on_enter(self):
            asyncio.get_running_loop().call_soon(fail, how)

    async def factory():
        fail(how)

    return {"init": Init, "factory": factory, "enter": Enter, "tool": Tool, "task": Task, "callback": Callback}[place]


for place in ("init", "factory", "enter", "tool", "task", "callback"):
    for how in ERRORS:
        globals()[f"{place}_{how}"] = failing_in(place, how)


def lies():
    return "an agent"


class EnterHangs(Plain):
    async def on_enter(self):
        await asyncio.Event().wait()


class ToolHangs(Plain):
    def __init__(self):
        super().__init__(llm=ToolCaller(), tts=TonesTTS())

    async def on_enter(self):
        self.session.generate_reply(user_input="go")

    @function_tool
    async def look_up(self) -> str:
        '''Look it up.'''
        await asyncio.Event().wait()


async def factory_hangs():
    await asyncio.Event().wait()


class LeaksTask(Plain):
    async def on_enter(self):
        async def leaked():
            while True:
                await asyncio.sleep(0.05)
        self.task = asyncio.create_task(leaked())


class LeaksThousand(Plain):
    async def on_enter(self):
        async def leaked():
            while True:
                await asyncio.sleep(1.0)
        self.tasks = [asyncio.create_task(leaked()) for _ in range(1000)]


def blocking(seconds, after=0.0):
    class Blocks(Plain):
        async def on_enter(self):
            await asyncio.sleep(after)
            time.sleep(seconds)

    return Blocks


blocks_short, blocks_second, blocks_joining = blocking(0.1), blocking(1.0), blocking(20.0)
blocks_long = blocking(20.0, after=2.0)  # its own room is connected by then
"""

LEFT_BEHIND = {"leaks-task": "LeaksTask", "leaks-thousand": "LeaksThousand"}
OTHERS = {
    "factory-lies": "lies",
    "enter-hangs": "EnterHangs",
    "tool-hangs": "ToolHangs",
    "factory-hangs": "factory_hangs",
    "blocks-short": "blocks_short",
    "blocks-second": "blocks_second",
    "blocks-long": "blocks_long",
    "blocks-joining": "blocks_joining",
    **LEFT_BEHIND,
}

FAULTY_AGENTS = Package(
    name="faulty-agents",
    modules={"faulty_agents.py": SOURCE},
    agents={f"{place}-{how}": f"faulty_agents:{place}_{how}" for place in PLACES for how in HOW}
    | {name: f"faulty_agents:{attribute}" for name, attribute in OTHERS.items()},
)

BYSTANDER = Package(
    name="bystander-agents",
    modules={
        "bystander_agents.py": """
            from tone_agents import ToneAgent

            class Bystander(ToneAgent):
                frequency = 440.0
                seconds = 1200.0
        """
    },
    agents={"bystander": "bystander_agents:Bystander"},
)
