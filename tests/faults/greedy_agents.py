"""Agents that write more than anybody reads, or take the log or the signals for themselves."""

from __future__ import annotations

from e2e.packages import Package

TALKATIVE = Package(
    name="talkative-agents",
    agents={"talkative": "talkative_agents:Talkative"},
    modules={
        "talkative_agents.py": """
import asyncio, ctypes, logging, os, sys

from livekit.agents import Agent

log = logging.getLogger(__name__)
own = logging.getLogger("talkative_agents.own")
own.addHandler(logging.StreamHandler(sys.stdout))
own.propagate = False


class Talkative(Agent):
    def __init__(self):
        super().__init__(instructions="x")

    async def on_enter(self):
        for number in range(300):
            for _ in range(20):
                log.warning("a warning %s %d", "." * 400, number)
                print("printed", "." * 400)
                own.warning("by a handler of its own %s", "." * 400)
            os.write(1, b"written by the system " + b"." * 400 + b"\\n")
            os.write(2, b"written by the system " + b"." * 400 + b"\\n")
            # Not puts(): where PYTHONUNBUFFERED is set, it writes the end of the line by itself, a little later.
            ctypes.CDLL(None).printf(b"native " + b"." * 400 + b"\\n")
            ctypes.CDLL(None).fflush(None)
            await asyncio.sleep(0.01)
        child = await asyncio.create_subprocess_exec("echo", "by a child")
        await child.wait()
        log.warning("has said it all")
"""
    },
)

GREEDY = Package(
    name="greedy-agents",
    agents={"vandal": "greedy_agents:Vandal", "deaf": "greedy_agents:Deaf"},
    modules={
        "greedy_agents.py": """
import asyncio, logging, logging.config, signal

from livekit.agents import Agent


def take_the_log():
    logging.disable(logging.CRITICAL)
    logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL", "handlers": []}})
    logging.basicConfig(force=True, format="mine: %(message)s", level=logging.CRITICAL)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL)
        logger.propagate = False
        logger.disabled = True
        logger.handlers.clear()
        logger.filters.clear()
    for handler in logging.root.handlers:
        handler.setFormatter(logging.Formatter("mine: %(message)s"))
    logging.root.handlers.clear()
    logging.shutdown()


class Vandal(Agent):
    def __init__(self):
        super().__init__(instructions="x")
        take_the_log()

    async def on_enter(self):
        take_the_log()


class Deaf(Agent):
    def __init__(self):
        super().__init__(instructions="x")

    async def on_enter(self):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: None)
            signal.signal(number, signal.SIG_IGN)

    async def on_exit(self):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
"""
    },
)
