"""Readers that stand still, and agents that take the log or the signals for themselves."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e2e.packages import Package
from e2e.reporting import show_log_on_failure
from e2e.server_api import ServerApi
from faults.conftest import Inject
from faults.stage import PACKAGES, Stage
from openrtc.server import LocalServer

STANDS_STILL = 12.0
"""Seconds without a reader: a pipe alone would be full after the first tenth of one."""
BURST = 12

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


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipe for the worker's events, which nobody reads."""
    path = tmp_path_factory.mktemp("events") / "events"
    os.mkfifo(path)
    return path


@pytest.fixture(scope="module")
def read_stage(tmp_path_factory: pytest.TempPathFactory, events: Path) -> Iterator[Stage]:
    """A worker whose output goes through a pipe, with a bystander's call.

    It has a server of its own: at the one of the other faults, their worker would get some of its calls.
    """
    with (
        LocalServer(port=0) as server,
        Stage(
            ServerApi(server.url, server.api_key, server.api_secret),
            tmp_path_factory.mktemp("readers"),
            packages=(*PACKAGES, TALKATIVE, GREEDY),
            options=("--metrics-jsonl", str(events)),
            piped=True,
        ) as made,
    ):
        yield made


@pytest.fixture
def stage(read_stage: Stage, request: pytest.FixtureRequest) -> Stage:
    """That worker, instead of the one that other faults share."""
    show_log_on_failure(request.node, read_stage.worker)
    return read_stage


def test_a_reader_of_the_log_stands_still(inject: Inject, stage: Stage, events: Path) -> None:
    lost = "lines of the log, which are counted; no call"
    what = f"reader of the log stands still for {STANDS_STILL:.0f} s, an agent writes 8 MB, {BURST} dispatches; "
    with inject(what + "nobody reads --metrics-jsonl", lost=lost) as fault:
        began = time.monotonic()
        stage.worker.pause_reading()
        fault.call("talkative").wait_for_agent()
        rooms = [fault.room("alpha-burst") for _ in range(BURST)]
        with ThreadPoolExecutor(BURST) as pool:
            list(pool.map(stage.api.create_room, rooms))
        fault.call("alpha-new").wait_for("track_subscribed", 20.0)
        time.sleep(max(0.0, STANDS_STILL - (time.monotonic() - began)))
        stage.worker.go_on_reading()
        said = fault.wait_for_report(r"^\d+ lines were dropped because nobody read the log for \d+ s$", 20.0)
        assert int(said.split()[0]) > 1000
    starts = ("{", "printed .", "by a handler of its own .", "written by the system .", "native .", "by a child")
    wrong = [line for line in fault.log().splitlines() if not line.startswith(starts)]
    assert not wrong, "whole lines"
    assert not [line for line in fault.log().splitlines() if line[:1] == "{" and not json.loads(line)]
    reader = os.open(events, os.O_RDONLY | os.O_NONBLOCK)
    time.sleep(1.0)  # the writer tries again every half second
    first = os.read(reader, 65536).decode().splitlines()[0]
    os.close(reader)
    assert json.loads(first)["event"] == "worker_started", "a reader that comes late gets what has waited"


def test_an_agent_takes_the_log_for_itself(inject: Inject, stage: Stage) -> None:
    with inject("agent mutes and reformats all of logging, in __init__ and in on_enter", lost="nothing") as fault:
        fault.call("vandal").wait_for("track_subscribed", 20.0)
        room = fault.call("alpha-after")
        room.wait_for("track_subscribed", 20.0)
    lines = fault.log().splitlines()
    assert not [line for line in lines if line.startswith("mine: ")]
    routed = [line for line in lines if re.search(r"room 'alpha-after.*alpha by", line)]
    assert len(routed) == 1 and json.loads(routed[0])["logger"] == "openrtc.routing"


@pytest.mark.last
def test_an_agent_takes_the_signals_for_itself(inject: Inject, stage: Stage) -> None:
    with inject("agent sets its own handlers of SIGTERM and SIGINT, and removes them", lost="nothing") as fault:
        fault.call("deaf").wait_for("track_subscribed", 20.0)
        fault.call("deaf").wait_for("track_subscribed", 20.0)
        time.sleep(1.0)
        fault.hang_up()
        fault.wait_until_ended()
        fault.call("deaf").wait_for("track_subscribed", 20.0)
    stage.bystander.leave()
    stage.worker.signal()
    stage.worker.wait_for_log("draining: ")
    assert stage.worker.wait(20.0) == 0
