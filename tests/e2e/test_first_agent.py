"""The page docs/first-agent.md, lived through: its files are built, installed and called by its commands."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.cli import run_openrtc
from e2e.reporting import show_log_on_failure
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess
from openrtc.cli.main import main
from openrtc.server.settings import find_free_port

pytestmark = pytest.mark.process

PAGE = (Path(__file__).parents[2] / "docs" / "first-agent.md").read_text(encoding="utf-8")
FILE = re.compile(r"```(?:python|toml)\n# (flower-shop/[\w./]+)(, further down)?\n(.*?)```", re.DOTALL)
ENTRY_POINTS = re.compile(r"\[project\.entry-points.*?(?=\n\[tool)", re.DOTALL)
COMMAND = re.compile(r"^\$ (openrtc [a-z].*)$", re.MULTILINE)
ONLY = ["--allow", "flower-shop,openrtc-offline"]  # what else is installed here is no part of the page
NO_SERVER = {"LIVEKIT_URL": "", "LIVEKIT_API_KEY": "", "LIVEKIT_API_SECRET": ""}


@dataclass(frozen=True)
class Reader:
    """Somebody who follows the page: a folder with the package, and where it is installed."""

    work: Path
    installed: Path
    variables: dict[str, str]

    def run(self, start: str, typed: str = "") -> str:
        """Run the command of the page that starts so, and return what it prints."""
        (line,) = [one for one in COMMAND.findall(PAGE) if one.startswith(start)]
        arguments, given = [*shlex.split(line)[1:], *ONLY], {**NO_SERVER, **self.variables}
        done = run_openrtc(*arguments, folders=[self.installed], cwd=self.work, typed=typed, variables=given)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning" not in done.stderr, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody who has come to the end of the page."""
    work = tmp_path_factory.mktemp("first-agent")
    project = work / "flower-shop"
    (line,) = [one for one in COMMAND.findall(PAGE) if one.startswith("openrtc new")]
    assert main([*shlex.split(line)[1:], "--into", str(work)]) == 0
    made = (project / "src/flower_shop/__init__.py").read_text()
    for name, further, text in FILE.findall(PAGE):
        path = work / name
        before, after = ENTRY_POINTS.split(path.read_text(), maxsplit=1) if further else ("", "")
        path.write_text(before + text + after)
    assert (project / "src/flower_shop/__init__.py").read_text() == made
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*pip, str(work / "installed"), str(project)], check=True)
    with tempfile.TemporaryDirectory(dir="/tmp") as sockets:
        yield Reader(work, work / "installed", {"XDG_RUNTIME_DIR": sockets})


@pytest.fixture(scope="module")
def dev(reader: Reader, request: pytest.FixtureRequest) -> Iterator[WorkerProcess]:
    assert "openrtc dev --with-server" in COMMAND.findall(PAGE)
    url = f"ws://127.0.0.1:{find_free_port(socket.SOCK_STREAM)}"
    with WorkerProcess(
        ["-m", "openrtc", "dev", "--with-server", *ONLY],
        api=ServerApi(url, "", ""),
        log=reader.work / "dev.log",
        folders=[reader.installed],
        variables=reader.variables,
        cwd=reader.work,
    ) as worker:
        show_log_on_failure(request.node, worker)
        yield worker.wait_until_ready()
        worker.signal(signal.SIGINT)
        assert worker.wait(15.0) == 0


def test_every_python_file_of_the_page_is_in_the_package(reader: Reader) -> None:
    written = {path.name for path in (reader.work / "flower-shop/src/flower_shop").glob("*.py")}
    assert {"__init__.py", "together.py"} < written
    assert {path.name for path in (reader.installed / "flower_shop").glob("*.py")} == written


def test_its_agents_can_be_used_and_only_lack_models(reader: Reader) -> None:
    table = reader.run("openrtc list-agents --load")
    states = dict(re.findall(r"^ ([\w-]+) +(ready|lacking) +flower-shop 0\.1\.0", table, re.MULTILINE))
    assert states.keys() == {"flower-shop", "weddings", "shop"}
    assert f"`flower-shop  {states['flower-shop']}`" in PAGE


def test_the_agent_answers_in_text_as_the_page_shows(reader: Reader) -> None:
    (shown,) = re.findall(r"\$ openrtc console flower-shop\n(.*?)```", PAGE, re.DOTALL)
    asked = re.findall(r"^you> (.*)$", shown, re.MULTILINE)
    told = reader.run("openrtc console flower-shop", "".join(f"{line}\n" for line in [*asked, "/quit"]))
    for line in re.findall(r"^flower-shop> (.*)$", shown, re.MULTILINE):
        assert line in told


def test_the_router_is_asked_and_gives_its_reason(reader: Reader) -> None:
    told = reader.run("openrtc route")
    assert told.splitlines()[-1] == "weddings by flower-shop:weddings: it is about a wedding"


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("command", "agent", "said"),
    [
        ("openrtc call flower-shop", "flower-shop", ["how can I help you", "from nine to five"]),
        ("openrtc call --metadata", "weddings", ["this is the wedding desk"]),
        ("openrtc call shop", "desk", ["how can I help you", "this is the wedding desk", "from nine to five"]),
    ],
)
def test_a_spoken_call_is_answered(
    reader: Reader, dev: WorkerProcess, command: str, agent: str, said: list[str]
) -> None:
    told = reader.run(command)
    assert f" -> {agent} " in told
    assert [words for words in said if words not in told] == [], told
    assert dev.running


def test_whatever_else_the_page_runs_is_a_command_with_these_options() -> None:
    from importlib import import_module

    from openrtc.cli.parsers import build_parser

    for line in COMMAND.findall(PAGE):
        _, name, *options = shlex.split(line)
        build_parser(name, import_module(f"openrtc.cli.{name.replace('-', '_')}")).parse_args(options)
