"""What only POSIX systems have, and what is left where it is missing, as on Windows."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import openrtc
from e2e.worker_template import worker_template
from openrtc import posix
from openrtc.observe.sockets import socket_folder

if TYPE_CHECKING:
    from conftest import Site

# What others bring is imported before the names go: it has forms of its own for Windows, which this system lacks.
WITHOUT_POSIX = """
import aiohttp.web, livekit.agents.cli, livekit.api, numpy, psutil, rich.console, rich.live, rich.table, sys
for name in [name for name in sys.modules if name.partition(".")[0] == "openrtc"]:
    del sys.modules[name]
sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("openrtc.")]
import asyncio, asyncio.unix_events, multiprocessing, multiprocessing.resource_tracker, os, signal, socket, sys

multiprocessing.set_start_method("spawn")
multiprocessing.resource_tracker._HAVE_SIGMASK = False  # what it has found when it was imported
pair, unix = socket.socketpair, socket.AF_UNIX
socket.socketpair = lambda family=None, *further: pair(unix, *further)  # Windows has it, without AF_UNIX
del socket.AF_UNIX
for name in "fork forkpty get_blocking getuid geteuid killpg posix_spawn register_at_fork sched_getaffinity".split():
    delattr(os, name)
for name in "SIGHUP SIGUSR1 SIGUSR2 SIGCHLD getitimer setitimer pthread_sigmask".split():
    delattr(signal, name)
del asyncio.unix_events._UnixSelectorEventLoop.add_signal_handler
sys.modules["termios"] = sys.modules["resource"] = None

from openrtc.cli.main import program
program()
"""

DESK = """
from livekit.agents import Agent, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

class Model(llm.LLM):
    def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        return Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

class Stream(llm.LLMStream):
    async def _run(self):
        said = [item.text_content for item in self._chat_ctx.items if item.type == "message"][-1]
        delta = llm.ChoiceDelta(role="assistant", content=f"you said {said}")
        self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))

class Desk(Agent):
    '''Repeats.'''

    def __init__(self):
        super().__init__(instructions="Repeat.", llm=Model())
"""

POSIX_ONLY = {
    *("add_signal_handler", "remove_signal_handler", "getuid", "geteuid", "AF_UNIX", "killpg", "sched_getaffinity"),
    *("SIGHUP", "SIGUSR1", "SIGUSR2", "getpgid", "setsid", "open_unix_connection", "start_unix_server", "tcgetattr"),
    *("fork", "posix_spawn", "waitpid", "SIGCHLD"),
}
SUPERVISOR_ONLY = {"fork", "posix_spawn", "waitpid", "SIGCHLD", "SIGHUP"}
"""What the supervisor's folder uses besides: nothing of it runs where `posix.why_no_supervisor` has an answer."""


@pytest.fixture
def desk(site: Site) -> Site:
    site.add("desk-pkg", agents={"desk": "desk_pkg:Desk"}, files={"desk_pkg.py": DESK})
    return site


ENVIRONMENT = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret", "OPENRTC_ALLOW": "desk-pkg"}


def run(desk: Site, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``openrtc`` in a process without what only POSIX has."""
    return desk.fork(worker_template(), "-c", WITHOUT_POSIX, *arguments, env=ENVIRONMENT, typed=typed)


@pytest.mark.process
def test_without_posix_the_agents_are_listed(desk: Site) -> None:
    for arguments in ([], ["--load"]):
        done = run(desk, "list-agents", *arguments, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        states = {agent["name"]: agent["state"] for agent in json.loads(done.stdout)["agents"]}
        assert states["desk"] == ("ready" if arguments else "installed")


@pytest.mark.process
def test_without_posix_the_console_chats_in_text(desk: Site) -> None:
    done = run(desk, "console", typed="hello there\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "you said hello there" in done.stdout


@pytest.mark.process
def test_without_posix_the_demo_talks_in_text(desk: Site) -> None:
    done = run(desk, "demo", "--text")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 good call of 1, 1 agent" in done.stdout


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["start", "--processes", "2", "--url", "ws://127.0.0.1:9"], "several workers under one supervisor: "),
        (["top"], "workers cannot be asked here: this system has no UNIX sockets"),
    ],
)
def test_what_needs_posix_says_so_in_one_line(desk: Site, command: list[str], told: str) -> None:
    done = run(desk, *command)
    assert done.returncode == 2
    assert told in done.stderr and done.stderr.count("\n") == 1


async def test_a_signal_calls_back_in_the_loop_also_where_the_loop_has_no_handlers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.delattr(type(loop), "add_signal_handler", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    received: asyncio.Future[signal.Signals] = loop.create_future()
    try:
        posix.call_on_signals(received.set_result, "SIGTERM", "SIGNOTHING")
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(received, 60) is signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)


def test_signals_that_a_system_does_not_know_are_left_out() -> None:
    assert posix.find_signals("SIGTERM", "SIGNOTHING") == (signal.SIGTERM,)


def test_no_other_module_names_what_only_posix_has() -> None:
    root = Path(openrtc.__file__).parent
    found = []
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        allowed = POSIX_ONLY if name == "posix.py" else SUPERVISOR_ONLY if name.startswith("supervisor/") else set()
        source = path.read_text(encoding="utf-8")
        names = {name for name in POSIX_ONLY - allowed if name in source}
        for node in ast.walk(ast.parse(source)) if names else ():  # most have none, and to parse one takes a while
            if isinstance(node, ast.Attribute) and node.attr in names:
                found.append(f"{name}:{node.lineno}: {node.attr}")
    assert found == []


def test_files_of_others_are_not_trusted_but_those_of_root() -> None:
    def judge(owner: int, mode: int) -> str | None:
        return posix.why_not_trusted(os.stat_result((0o100000 | mode, 0, 0, 1, owner, 0, 0, 0, 0, 0)))

    me = os.getuid()
    assert judge(me, 0o664) is None
    assert judge(0, 0o644) is None
    assert judge(me + 4321, 0o600) == f"it belongs to user {me + 4321}"
    assert judge(me, 0o646) == judge(0, 0o602) == "everybody may write it"


def test_shared_memory_is_used_where_no_other_folder_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "_get_default_tempdir", refuse_all)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setattr(posix, "SHARED_MEMORY", str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError):
        posix.find_temporary_folder()
    assert str(socket_folder()).startswith("/tmp/openrtc-")  # of which the worker says that it cannot be used
    monkeypatch.setattr(posix, "SHARED_MEMORY", str(tmp_path))
    assert posix.find_temporary_folder() == tempfile.gettempdir() == os.environ["TMPDIR"] == str(tmp_path)


def refuse_all() -> str:
    raise FileNotFoundError(2, "No usable temporary directory found")
