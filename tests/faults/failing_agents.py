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

WAYS = {
    "returned": "a hand-off by a tool",
    "updated": "a hand-off by session.update_agent",
    "awaited": "a hand-off to an AgentTask",
}

SOURCE = """
import asyncio
import logging
import os
import re
import threading
import time

from livekit import rtc
from livekit.agents import Agent, AgentSession, AgentTask, function_tool, get_job_context
from livekit.agents.llm import ToolError
from faulty_models import TonesTTS, ToolCaller
from openrtc import AgentSpec
from tone_agents import ToneAgent

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


def handing_over(way, how):
    class Second(Plain):
        async def on_enter(self):
            fail(how)

    class Task(AgentTask):
        def __init__(self):
            super().__init__(instructions="x")

        async def on_enter(self):
            fail(how)

    class Returned(Plain):
        def __init__(self):
            super().__init__(llm=ToolCaller(), tts=TonesTTS())

        async def on_enter(self):
            self.session.generate_reply(user_input="go")

        @function_tool
        async def look_up(self) -> Agent:
            '''Look it up.'''
            return Second()

    class Updated(Plain):
        async def on_enter(self):
            self.session.update_agent(Second())

    class Awaited(Plain):
        async def on_enter(self):
            await Task()

    return {"returned": Returned, "updated": Updated, "awaited": Awaited}[way]


for way in ("returned", "updated", "awaited"):
    for how in ERRORS:
        globals()[f"{way}_{how}"] = handing_over(way, how)


def starting(agent):
    async def entrypoint(context):
        await AgentSession().start(agent(), room=context.room)

    return AgentSpec(entrypoint=entrypoint)


class EnterRaises(Plain):
    async def on_enter(self):
        fail("raises")


class HandsOverAndExits(Plain):
    async def on_enter(self):
        class Second(Plain):
            async def on_enter(self):
                fail("exits")

        self.session.update_agent(Second())


def lies():
    return "an agent"


class EnterHangs(Plain):
    async def on_enter(self):
        await asyncio.Event().wait()


entrypoint_raises, entrypoint_exits, entrypoint_hangs = map(starting, (EnterRaises, HandsOverAndExits, EnterHangs))


class ToolHangs(Plain):
    def __init__(self):
        super().__init__(llm=ToolCaller(), tts=TonesTTS())

    async def on_enter(self):
        self.session.generate_reply(user_input="go")

    @function_tool
    async def look_up(self) -> str:
        '''Look it up.'''
        await asyncio.Event().wait()


class WaitsInThreads(Plain):
    async def on_enter(self):
        self.tasks = [asyncio.create_task(self.wait()) for _ in range(10)]

    async def wait(self):
        await asyncio.to_thread(time.sleep, 15.0)


class AsksThread(ToneAgent):
    frequency = 700.0

    async def on_enter(self):
        asked = time.perf_counter()
        await asyncio.to_thread(int)
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        logging.getLogger("faulty").warning("asked a thread for %.3f s", time.perf_counter() - asked)
        await super().on_enter()


class UpdatedHangs(Plain):
    async def on_enter(self):
        self.session.update_agent(EnterHangs())


class ExitHangs(Plain):
    async def on_exit(self):
        await asyncio.Event().wait()


class TaskToolHangs(Plain):
    def __init__(self):
        super().__init__(llm=ToolCaller(), tts=TonesTTS())

    async def on_enter(self):
        class Task(AgentTask):
            def __init__(self):
                super().__init__(instructions="x", llm=ToolCaller(), tts=TonesTTS())

            async def on_enter(self):
                self.session.generate_reply(user_input="go")

            @function_tool
            async def look_up(self) -> str:
                '''Look it up.'''
                await asyncio.Event().wait()

        await Task()


class ToolStays(ToolHangs):
    @function_tool
    async def look_up(self) -> str:
        '''Look it up.'''
        while True:
            try:
                await asyncio.sleep(60)
            except BaseException:
                pass


class ShutdownFails(Plain):
    async def on_enter(self):
        async def bad():
            raise ValueError("no ledger")

        async def slow():
            await asyncio.sleep(6)
            logging.getLogger("faulty").warning("the slow callback has saved")

        for callback in (bad, slow):
            get_job_context().add_shutdown_callback(callback)


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


blocks_short, blocks_second, blocks_three = map(blocking, (0.1, 1.0, 3.0))


class BlocksJoining(Plain):
    # It blocks when the native library has just been asked to connect another call, and so cannot have answered.
    async def on_enter(self):
        connect, asked = rtc.Room.connect, asyncio.Event()

        async def tell(room, *args, **kwargs):
            asyncio.get_running_loop().call_soon(asked.set)
            await connect(room, *args, **kwargs)

        rtc.Room.connect = tell
        logging.getLogger("faulty").warning("waits for another call to connect")
        await asked.wait()
        rtc.Room.connect = connect
        time.sleep(20.0)


class Digit(AgentTask[str]):
    def __init__(self):
        super().__init__(instructions="Ask for one digit.", tts=TonesTTS())

    async def on_enter(self):
        self.session.say("Press a digit.")


class SpinsAfterHangUp(Plain):
    # As a published telephone menu has it: from the hang-up on, all of this fails at once.
    def __init__(self):
        super().__init__(tts=TonesTTS())

    async def on_enter(self):
        while True:
            try:
                await Digit()
            except ToolError as error:
                self.session.say(error.message)
                continue
            return


class StopsLoop(Plain):
    async def on_enter(self):
        asyncio.get_running_loop().stop()


class CancelsAll(Plain):
    async def on_enter(self):
        await asyncio.sleep(1.0)
        for task in asyncio.all_tasks():
            task.cancel()


def spin():
    while True:
        time.sleep(0.001)


class SpinsInCallback(Plain):
    async def on_enter(self):
        get_job_context().room.on("participant_disconnected", lambda participant: spin())


class Sleeps(Plain):
    async def on_enter(self):
        await asyncio.sleep(1.0)  # its own room is connected by then
        time.sleep(10_000)


class Searches(Plain):
    async def on_enter(self):
        await asyncio.sleep(1.0)
        re.match("(a+)+$", "a" * 60 + "b")  # it lets no other thread run


class NeverDeleted:
    def __del__(self):
        spin()


class SpinsInDel(Plain):
    async def on_enter(self):
        await asyncio.sleep(1.0)
        NeverDeleted()


class WaitsInLibrary(Plain):
    async def on_enter(self):
        threading.Event().wait()


class CatchesAll(Plain):
    async def on_enter(self):
        await asyncio.sleep(1.0)
        while True:
            try:
                time.sleep(0.01)
            except BaseException:
                continue
"""

LEFT_BEHIND = {"leaks-task": "LeaksTask", "leaks-thousand": "LeaksThousand"}
OTHERS = {
    "factory-lies": "lies",
    "enter-hangs": "EnterHangs",
    "entrypoint-raises": "entrypoint_raises",
    "entrypoint-exits": "entrypoint_exits",
    "entrypoint-hangs": "entrypoint_hangs",
    "tool-hangs": "ToolHangs",
    "factory-hangs": "factory_hangs",
    "updated-hangs": "UpdatedHangs",
    "exit-hangs": "ExitHangs",
    "task-tool-hangs": "TaskToolHangs",
    "tool-stays": "ToolStays",
    "shutdown-fails": "ShutdownFails",
    "waits-in-threads": "WaitsInThreads",
    "asks-thread": "AsksThread",
    "blocks-short": "blocks_short",
    "blocks-second": "blocks_second",
    "blocks-three": "blocks_three",
    "spins-after-hang-up": "SpinsAfterHangUp",
    "spins-in-callback": "SpinsInCallback",
    "sleeps": "Sleeps",
    "searches": "Searches",
    "stops-loop": "StopsLoop",
    "cancels-all": "CancelsAll",
    "spins-in-del": "SpinsInDel",
    "waits-in-library": "WaitsInLibrary",
    "catches-all": "CatchesAll",
    "blocks-joining": "BlocksJoining",
    **LEFT_BEHIND,
}

FAULTY_AGENTS = Package(
    name="faulty-agents",
    modules={"faulty_agents.py": SOURCE},
    agents={f"{place}-{how}": f"faulty_agents:{place}_{how}" for place in [*PLACES, *WAYS] for how in HOW}
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
                ahead = 10.0
        """
    },
    agents={"bystander": "bystander_agents:Bystander"},
)
