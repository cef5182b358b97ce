"""A new author's first hour: `openrtc dev --with-server`, `openrtc call`, and what is said where something is wrong."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from e2e.cli import run_openrtc
from e2e.packages import Package
from e2e.reporting import show_log_on_failure
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess
from openrtc.server.settings import DEV_API_SECRET, find_free_port, is_port_free

pytestmark = pytest.mark.process

SHOP = Package(
    name="first-shop",
    modules={
        "first_shop.py": '''
            from livekit.agents import Agent, function_tool

            class Desk(Agent):
                def __init__(self):
                    super().__init__(instructions="You help customers with their orders.")

                async def on_enter(self):
                    await self.session.say("Hello, this is the shop.")

                @function_tool
                async def opening_hours(self) -> str:
                    """When the shop is open."""
                    return "from nine to five"

            class Crash(Desk):
                async def on_enter(self):
                    raise RuntimeError("no such shop")

            class Unbuilt(Desk):
                def __init__(self):
                    raise LookupError("no shelf")

            class Hosted(Agent):
                def __init__(self):
                    super().__init__(instructions="x", llm="openai/gpt-4.1-mini")
        '''
    },
    agents={name.lower(): f"first_shop:{name}" for name in ("Desk", "Crash", "Unbuilt", "Hosted")},
)

NO_SERVER = {"LIVEKIT_URL": "", "LIVEKIT_API_KEY": "", "LIVEKIT_API_SECRET": ""}


class FirstHour:
    """A developer's machine: its own sockets, and a folder with one package; no variable names a server."""

    def __init__(self, folder: Path, sockets: str) -> None:
        self.packages = SHOP.install_into(folder / "packages")
        self.work = folder / "work"
        self.work.mkdir()
        self.variables = {"XDG_RUNTIME_DIR": sockets}

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        given = {**NO_SERVER, **self.variables, **variables}
        arguments = (*arguments, "--allow", f"{SHOP.name},openrtc-offline")
        done = run_openrtc(*arguments, folders=[self.packages], cwd=self.work, variables=given)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstHour]:
    with tempfile.TemporaryDirectory(dir="/tmp") as sockets:
        yield FirstHour(tmp_path_factory.mktemp("first-hour"), sockets)


@pytest.fixture(scope="module")
def dev(hour: FirstHour, request: pytest.FixtureRequest) -> Iterator[WorkerProcess]:
    """``openrtc dev --with-server``; that it ends is part of the tests."""
    url = f"ws://127.0.0.1:{find_free_port(socket.SOCK_STREAM)}"
    allowed = f"{SHOP.name},openrtc-offline,openrtc-playground"
    command = ["-m", "openrtc", "dev", "--with-server", "--playground", "--no-open", "--allow", allowed]
    worker = WorkerProcess(
        command,
        api=ServerApi(url, "", ""),
        log=hour.work / "dev.log",
        folders=[hour.packages],
        variables=hour.variables,
        cwd=hour.work,
    )
    with worker:
        show_log_on_failure(request.node, worker)
        yield worker.wait_until_ready()
        worker.signal(signal.SIGINT)
        assert worker.wait(15.0) == 0
        log = worker.log()
    assert DEV_API_SECRET not in log, "it goes nowhere by itself"
    assert [is_port_free(int(port)) for port in re.findall(r"^Playground: http://127.0.0.1:(\d+)/", log, re.MULTILINE)]
    assert "unknown FFI handle" not in log and "calls have waited" not in log
    assert log.count("cannot answer: it lacks") == 1 and "its llm failed" not in log


@pytest.mark.realtime
def test_an_agent_of_a_new_package_answers_without_a_setting(hour: FirstHour, dev: WorkerProcess) -> None:
    done = hour.run("call", "desk", "--say", "what are your opening hours")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "from nine to five" in done.stdout
    for label, text in (("heard", "what are "), ("called", "opening_hours() = from nine to five")):
        dev.wait_for_log(f"^  {label} +{re.escape(text)}")  # it is shown as the caller sees it
    assert re.search(r"^  said +.*from nine to five.* \(\d+\.\d\d s\)", dev.log(), re.MULTILINE)
    assert re.search(r"^desk-\w+ -> desk ", dev.log(), re.MULTILINE) and "DEBUG" not in dev.log()
    assert dev.log().count("those of openrtc-offline, where neither the agent nor [defaults] names one") == 1


@pytest.mark.parametrize(
    ("agent", "why"),
    [
        ("crash", r"crash has failed: RuntimeError: no such shop at \S+first_shop.py:\d+"),
        ("unbuilt", r"unbuilt has failed: LookupError: no shelf at \S+first_shop.py:\d+"),
        ("hosted", r"hosted has failed: .*LiveKit's Cloud, which alone has 'openai/gpt-4.1-mini'"),
    ],
)
def test_the_caller_of_an_agent_that_fails_at_once_is_told_why(
    hour: FirstHour, dev: WorkerProcess, agent: str, why: str
) -> None:
    # Where only the limit ended the wait, the test would not end in time.
    done = hour.run("call", agent, "--timeout", "600")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(why, done.stdout + done.stderr), done.stderr
    assert dev.running


def test_the_health_server_says_what_an_agent_lacks_and_is_ready(dev: WorkerProcess) -> None:
    address = dev.wait_for_log("HTTP server listening on ").split()[-1]
    ready, agents = (json.load(urlopen(f"http://{address}/{path}", timeout=30)) for path in ("ready", "agents"))
    assert ready["ready"]  # of another status, it would have raised
    assert ready["lacks"] == {"hosted": ["LiveKit's Cloud, which alone has 'openai/gpt-4.1-mini'"]}
    lacks = {row["name"]: [one["kind"] for one in row["lacks"]] for row in agents["agents"] if row["lacks"]}
    assert lacks == {"hosted": ["cloud"]}


def test_the_playground_offers_the_agents_of_the_worker_and_keeps_its_key(dev: WorkerProcess) -> None:
    page, _, key = dev.wait_for_log("^Playground: http").split()[-1].partition("/?key=")

    def ask(path: str, body: str = "", **headers: str) -> Any:
        sent = {"X-OpenRTC-Key": key, "Origin": page, "Content-Type": "application/json", **headers}
        return json.load(urlopen(Request(f"{page}/api/{path}", body.encode() or None, sent), timeout=30))

    found = ask("agents")
    assert found["worker"] == {"found": True, "state": "ready", "session_host": "operators", "profile": "standard"}
    agents = {one["name"]: one for one in found["agents"]}
    assert agents["desk"]["ready"] and agents["desk"]["distribution"] == SHOP.name
    assert not agents["hosted"]["ready"] and "LiveKit's Cloud" in agents["hosted"]["reason"]
    assert ask("token", '{"agent": "desk"}')["url"] == found["server"] != ""
    calls = ask("calls")["calls"]  # those of the tests before may not be over
    assert all(f"asks for {one['agent']!r}" in one["reason"] for one in calls if one["job"])
    with pytest.raises(HTTPError, match="401"):
        ask("agents", **{"X-OpenRTC-Key": ""})
    lines = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
    assert not any(key in word or DEV_API_SECRET in word for line in lines for word in line)


def test_a_token_and_a_dispatch_find_the_server_that_dev_has_started(hour: FirstHour, dev: WorkerProcess) -> None:
    made = hour.run("token", "create", "--agent", "desk", "--new-room")
    assert made.returncode == 0 and "url:      ws://127.0.0.1:" in made.stdout, made.stderr
    listed = hour.run("dispatch", "list", "nowhere", "--json")
    assert listed.returncode == 0, listed.stderr
    other = hour.run("call", "desk", "--url", "wss://somewhere.example.com")
    assert other.returncode == 2
    assert "missing: LIVEKIT_API_KEY, LIVEKIT_API_SECRET" in other.stderr


def test_a_wrong_secret_is_said_to_be_wrong(hour: FirstHour, api: ServerApi) -> None:
    given = {"LIVEKIT_URL": api.url, "LIVEKIT_API_KEY": api.key, "LIVEKIT_API_SECRET": "wrong"}
    line = f"openrtc: {api.url} refuses the API key {api.key!r} with this secret (check LIVEKIT_API_KEY and"
    for command in (("dispatch", "list", "r"), ("call", "desk"), ("start", "--port", "0")):
        done = hour.run(*command, **given)
        assert done.returncode == 2, done.stderr
        assert done.stderr.splitlines()[-1].startswith(line), done.stderr
        assert "HMAC" not in done.stderr and "retrying" not in done.stderr


def test_without_offline_models_dev_refuses_with_the_ways_out(hour: FirstHour) -> None:
    options = ("--allow", SHOP.name, "--deny", "first-shop:hosted")
    variables = NO_SERVER | hour.variables
    done = run_openrtc("dev", *options, folders=[hour.packages], cwd=hour.work, variables=variables)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert "no agent can answer: 'crash' lacks stt and llm and tts" in last
    assert 'add "openrtc-offline" to allow' in last and "[defaults]" in last
