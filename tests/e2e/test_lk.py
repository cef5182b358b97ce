"""`openrtc.lk`: what the program ``lk`` starts of a file with one line, and what it says on its wires."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.callers import CallersProcess
from e2e.cli import run_python
from e2e.lk import AGENT_FILE, ConsoleLk, DevLk, build_command, write_project
from e2e.packages import Package
from e2e.reporting import show_log_on_failure
from e2e.server_api import Dispatch, ServerApi
from e2e.tone_agents import SOURCE, TONES
from e2e.tones import who_was_heard
from e2e.worker import TRACEBACK, WorkerProcess

MORE = """
import asyncio
import logging
import sys

from agent import Alpha, ToneAgent
from openrtc import AgentSpec


class Leaver(ToneAgent):
    frequency = 1100.0

    async def on_enter(self):
        asyncio.get_running_loop().call_soon(sys.exit, 3)
        await super().on_enter()


def prewarm(proc):
    asyncio.run(asyncio.sleep(0))
    logging.getLogger("tones").info("CASE prewarmed")


alpha = AgentSpec(name="alpha", agent=Alpha, prewarm=prewarm)
"""

STOCK = """
from agent import Alpha
from livekit.agents import AgentSession


async def entrypoint(ctx):
    session = AgentSession()
    await session.start(Alpha(), room=ctx.room)
    await ctx.connect()
"""

# A module "agent", as the file is called that `lk` starts.
AGENTS = Package(
    name="lk-tones",
    modules={"agent.py": SOURCE, "more.py": MORE, "stock.py": STOCK},
    agents={
        "alpha": "more:alpha",
        "beta": "agent:Beta",
        "steady": "agent:Steady",
        "leaver": "more:Leaver",
        "stock": "stock:entrypoint",
    },
)
POOL = f"{SOURCE}\nfrom openrtc import AgentPool\n\nserver = AgentPool().add('alone', Alpha).server\n"
SETTINGS = """
[worker]
port = 0
log_format = "json"
[plugins]
allow = ["lk-tones"]
[routing]
default = "beta"
"""

Start = Callable[..., WorkerProcess]


@pytest.fixture
def start(api: ServerApi, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Start ``python -m livekit.agents`` as ``lk`` does, in a project with all agents installed."""
    started: list[WorkerProcess] = []
    packages = AGENTS.install_into(tmp_path / "packages")

    def begin(*command: str, settings: str = SETTINGS, source: str = AGENT_FILE) -> WorkerProcess:
        worker = WorkerProcess(
            build_command(*command),
            api=api,
            log=tmp_path / f"lk-{len(started)}.log",
            folders=[packages],
            cwd=write_project(tmp_path / "project", settings, source),
        )
        started.append(worker)
        show_log_on_failure(request.node, worker)
        return worker

    yield begin
    for worker in started:
        worker.kill()


@pytest.mark.realtime
def test_start_serves_everything_installed_with_the_settings_of_the_folder(
    start: Start, api: ServerApi, callers: CallersProcess
) -> None:
    worker = start("start").wait_until_ready()
    rooms = {
        name: callers.join(name, api.token(f"{name}-lk", "ann"), speaks=False) for name in ("alpha", "leaver", "lobby")
    }
    worker.wait_for_log(r"a callback raised SystemExit\(3\) at .*; the worker goes on")
    for name, expected in {"alpha": "alpha", "lobby": "beta"}.items():
        assert rooms[name].wait_for_answer(0.0, timeout=40.0) is not None
        (recording,) = rooms[name].recordings()
        assert recording.identity.startswith(f"{expected}-")
        assert who_was_heard(recording.sound, TONES) == {expected}
    assert [record["message"] for record in worker.records("^CASE ")] == ["CASE prewarmed"]
    assert {record["agent"] for record in worker.records("RoomIO linked")} == {"alpha", "leaver", "beta"}
    worker.signal(signal.SIGINT)
    worker.wait_for_log("draining: ")
    for caller in rooms.values():
        caller.leave()
    assert worker.wait() == 0
    assert TRACEBACK not in worker.log()


@pytest.mark.realtime
def test_a_call_outlives_a_reload_of_dev_with_its_agent(start: Start, api: ServerApi, callers: CallersProcess) -> None:
    settings = SETTINGS.replace("[plugins]", 'agent_name = "per-agent"\n[plugins]')  # a registration for each
    with DevLk() as lk:
        options = ("start", "--dev", "--log-level", "DEBUG", "--cli-addr", lk.address)
        first = start(*options, settings=settings)
        info = lk.begin()
        assert (info.agent_name, info.url) == ("alpha", api.url)
        agents = [Dispatch(room="dev-lk", agent_name="steady")]
        caller = callers.join("ann", api.token("dev-lk", "ann", agents=agents), speaks=False)
        identity = caller.wait_for_agent()["identity"]
        assert identity.startswith("steady-")
        first.wait_for_log("RoomIO linked to participant")
        jobs = lk.ask_for_jobs()
        assert [job.accept_identity for job in jobs] == [identity]
        lk.hang_up()
        first.signal(signal.SIGINT)
        assert first.wait(5) == 0, "it does not wait for its calls: lk would kill it"

        second = start(*options, settings=settings)
        began = time.time()
        lk.begin(jobs)
        second.wait_for_log('RoomIO linked to participant.*"agent": "steady"')
        assert api.agents_in(["dev-lk"]) == {"dev-lk": [identity]}
        caller.wait_for_answer(began, timeout=8.0)
        assert [one.accept_identity for one in lk.ask_for_jobs()] == [identity]
        recording = caller.recordings()[-1]
        assert who_was_heard(recording.sound[-48_000:], TONES) == {"alpha"}
        second.signal(signal.SIGINT)
        assert second.wait(5) == 0
        for worker in (first, second):
            assert TRACEBACK not in worker.log() and not worker.records("that nobody handled")


@pytest.mark.parametrize(("default", "source"), [("beta", AGENT_FILE), ("stock", AGENT_FILE), ("alone", POOL)])
def test_the_console_hears_an_agent_and_ends_with_lk(start: Start, default: str, source: str) -> None:
    settings = SETTINGS.replace('"beta"', f'"{default}"')
    with ConsoleLk() as lk:
        worker = start("console", "--connect-addr", lk.address, settings=settings, source=source)
        lk.accept()
        while lk.heard < 48_000:
            lk.play()
        lk.hang_up()
        assert worker.wait() == 0
        assert TRACEBACK not in worker.log()


def test_the_console_types_to_an_agent_that_has_tools(start: Start) -> None:
    settings = '[plugins]\nallow = ["my-sales-agent", "openrtc-offline"]\n[defaults]\noffline = true\n'
    with ConsoleLk() as lk:
        worker = start("console", "--connect-addr", lk.address, settings=settings)
        lk.accept()
        lk.switch_to_text()
        kinds = [item.WhichOneof("item") for item in lk.type("what are the prices")]
        assert kinds[-1] == "message" and "function_call" in kinds
        worker.signal()
        assert worker.wait() == 0
        assert TRACEBACK not in worker.log()


@pytest.mark.parametrize(
    ("settings", "command", "line"),
    [
        ("[worker]\nport = 'x'\n", ["start"], "openrtc.toml:2: port must be a whole number"),
        ("[plugins]\nallow = []\n", ["start", "--dev"], "no agent is ready to take calls"),
        (SETTINGS, ["start", "--log-level", "LOUD"], "log_level must be one of debug, info, warning, error"),
        (SETTINGS, ["console", "--connect-addr", "here"], "where lk listens: 'here' is not HOST:PORT"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(
    settings: str, command: list[str], line: str, tmp_path: Path
) -> None:
    connection = {"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32}
    project = write_project(tmp_path / "project", settings)
    done = run_python(*build_command(*command), cwd=project, variables=connection)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("openrtc: ") and line in last
    assert TRACEBACK not in done.stderr
