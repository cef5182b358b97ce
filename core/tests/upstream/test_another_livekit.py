"""With another livekit-agents, each command is one line, and a worker says at its start what it goes without."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.cli.commands import COMMANDS, COMMANDS_THAT_MEND
from openrtc.discovery.own_requirements import check_own_requirements
from openrtc.errors import OpenRTCError
from openrtc.install_commands import install_command

if TYPE_CHECKING:
    from conftest import Site

AGENT = """
from livekit.agents import Agent

class Support(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="Help.")
"""
CAST = """
from openrtc import AgentSpec, Cast, Member

TEAM = AgentSpec(cast=Cast(members=[Member(role=role, agent="helpdesk") for role in ("a", "b")]))
"""
ARGUMENTS = {
    "completion": ["bash"],
    "route": ["--room", "x"],
    "call": ["support"],
    "dispatch": ["list", "x"],
    "token": ["create", "--room", "x"],
    "sip": ["rule", "list"],
    "connect": ["--room", "x"],
    "pause": ["x"],
    "resume": ["x"],
    "end": ["x"],
    "check": ["x"],
    "new": ["agent", "x"],
}
"""What a command needs to be understood at all."""
RUN_ALL = """
import contextlib, io, json, sys
from openrtc.cli.main import main
answers = {}
for name, words in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        answers[name] = [main([name, *words]), errors.getvalue()]
print(json.dumps([answers, sorted(name for name in sys.modules if name.startswith("livekit."))]))
"""
NEEDS = "openrtc-core needs livekit-agents<1.9,>=1.8"
FIX = install_command("livekit-agents<1.9,>=1.8")


@pytest.mark.process
@pytest.mark.parametrize("version", ["2.0.0b1", "1.7.9", "1.9.0"])
def test_every_command_is_one_line_with_the_fix(site: Site, version: str) -> None:
    site.add("livekit-agents", version=version)
    commands = {name: ARGUMENTS.get(name, []) for name in COMMANDS if name not in COMMANDS_THAT_MEND}
    done = site.python("-c", RUN_ALL, json.dumps(commands))
    answers, livekit = json.loads(done.stdout)
    line = f"openrtc: {NEEDS}, and livekit-agents {version} is installed ({FIX})\n"
    assert answers == {name: [2, line] for name in commands}
    assert livekit == []


@pytest.mark.parametrize("version", ["1.8.0", "1.8.99", "1.8.10+local"])
def test_a_release_that_is_allowed_is_no_mistake(site: Site, version: str) -> None:
    site.add("livekit-agents", version=version)
    check_own_requirements(print)


def test_without_livekit_agents_it_is_one_line_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("openrtc-core", requires=["livekit-agents<1.9,>=1.8"])
    monkeypatch.setattr("sys.path", [str(site.folder)])
    with pytest.raises(OpenRTCError, match=re.escape(f"{NEEDS}, which is not installed (")):
        check_own_requirements(print)


def test_a_source_tree_that_is_not_installed_requires_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [str(site.folder)])
    check_own_requirements(print)


@pytest.fixture
def another(site: Site) -> Site:
    """A folder in front of the path with a copy of the installed livekit-agents, an agent and a cast."""
    spec = find_spec("livekit.agents")
    assert spec is not None and spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, site.folder / "livekit" / "agents")
    files = {"pkg_a.py": AGENT, "pkg_cast.py": CAST}
    site.add("pkg-a", agents={"helpdesk": "pkg_a:Support", "team": "pkg_cast:TEAM"}, files=files)
    return site


def rename(site: Site, name: str) -> None:
    """Give a private name of livekit-agents another one, everywhere in it."""
    found = 0
    for path in (site.folder / "livekit" / "agents").rglob("*.py"):
        text, count = re.subn(rf"\b{name}\b", f"{name}_renamed", path.read_text("utf-8"))
        if count:
            path.write_text(text, "utf-8")
        found += count
    assert found, f"livekit-agents has no {name}"


RENAMED = {
    ("_JobProc",): ["lazy_main:_JobProc is gone): every call gets a thread of its own"],
    ("_proc_pool",): ["AgentServer.run has changed", "every call gets a thread of its own", "neither /ready nor"],
    ("_connecting", "_func", "_create_ssl_context", "_pause_authorization", "_spectral_flux"): [
        *("neither /ready nor", "AgentServer._connection_task has changed"),
        *("a tool that exits ends the worker", "'schemas' is off", "tool_context:_BaseFunctionTool has changed"),
        *("warm-up is left", "'connections' is off", "http_context:_create_ssl_context is gone"),
        *("agent 'team' cannot serve", "AgentActivity._pause_authorization is gone"),
        *("'pace' is off", "_speaking_rate:SpeakingRateStream has changed"),
    ],
}
"""By private names of livekit-agents that have nothing to do with each other, what a worker says without them."""


@pytest.mark.process
@pytest.mark.parametrize("names", RENAMED, ids="".join)
def test_a_worker_says_at_its_start_what_is_different(another: Site, names: tuple[str, ...]) -> None:
    for name in names:
        rename(another, name)
    server = ["--url", "ws://127.0.0.1:9", "--api-key", "key", "--api-secret", "a secret that is long enough " * 2]
    command = [sys.executable, "-m", "openrtc", "start", *server, "--port", "0", "--allow", "pkg-a"]
    environment = another.environment()
    with subprocess.Popen(
        command, cwd=another.work, env=environment, stderr=subprocess.PIPE, encoding="utf-8"
    ) as worker:
        assert worker.stderr is not None
        lines = []
        for line in worker.stderr:
            lines.append(line)
            if "routing: " in line:
                break
        worker.kill()
    said = "".join(lines)
    assert "routing: " in said, said
    assert all(expected in said for expected in RENAMED[names]), said
    assert "Traceback" not in said
