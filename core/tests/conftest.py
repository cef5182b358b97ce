"""`Site`: a folder of really installed distributions that a test makes up."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from e2e.worker_template import ForkedProcess, Template, find_template, worker_template
from openrtc.discovery.discover import discover
from openrtc.discovery.entries import Entry
from openrtc.model.names import normalise_name
from openrtc.model.status import State
from openrtc.observe import log_guard
from openrtc.plugins.load import Loaded, LoadedAgent, LoadedPlugin, load
from openrtc.settings.config import Config, Policy

NOTHING = Path(os.devnull)
AGENT = """
from livekit.agents import Agent

class Support(Agent):
    '''Answers questions about orders.'''

    def __init__(self) -> None:
        super().__init__(instructions="Help.")
"""


class Site:
    """A folder on `sys.path` in which distributions are installed.

    Args:
        folder: Where the distributions are.
        work: An empty folder, the commands' current one.
        runtime: The commands' XDG_RUNTIME_DIR, if not that of this process.
    """

    def __init__(self, folder: Path, work: Path, runtime: str = "") -> None:
        self.folder = folder
        self.work = work
        self._runtime = {"XDG_RUNTIME_DIR": runtime} if runtime else {}
        self.distributions: set[str] = set()
        self.warnings: list[str] = []

    def add(
        self,
        distribution: str,
        *,
        agents: Mapping[str, str] | None = None,
        plugins: Mapping[str, str] | None = None,
        commands: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        version: str = "1.0",
        requires: Sequence[str] = (),
        summary: str = "",
        entry_points: str | bytes | None = None,
        metadata: str | bytes | None = "",
        folder: str = "",
        record: Iterable[str] | None = None,
    ) -> Path:
        """Install a distribution and return its metadata folder.

        Args:
            distribution: Its name.
            agents: Entry points of the group ``openrtc.agents``.
            plugins: Entry points of the group ``openrtc.plugins``.
            commands: Entry points of the group ``openrtc.commands``.
            files: Its modules: path and source.
            version: Its version.
            requires: Its requirements.
            summary: Its summary.
            entry_points: The whole `entry_points.txt` instead.
            metadata: The whole METADATA instead; None for none.
            folder: The name of its metadata folder, where that is another than its name and version.
            record: The lines of its RECORD; None for no such file, as Linux distributions install.
        """
        self.distributions.add(normalise_name(distribution))
        for path, source in (files or {}).items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(source), encoding="utf-8")
        info = self.folder / (folder or f"{distribution.replace('-', '_')}-{version}.dist-info")
        info.mkdir(parents=True)
        if record is not None:
            _write(info / "RECORD", "\n".join([*record, f"{info.name}/RECORD,,\n"]))
        groups = {"openrtc.agents": agents, "openrtc.plugins": plugins, "openrtc.commands": commands}
        text = "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items()) + "\n"
            for group, named in groups.items()
            if named
        )
        _write(info / "entry_points.txt", entry_points if entry_points is not None else text)
        lines = [f"Name: {distribution}", f"Version: {version}", *([f"Summary: {summary}"] if summary else [])]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        if metadata is not None:
            file = "PKG-INFO" if info.suffix == ".egg-info" else "METADATA"
            _write(info / file, metadata or "\n".join(["Metadata-Version: 2.4", *lines, "", "Some text.\n"]))
        return info

    def beside(self, name: str) -> Site:
        """Return another folder, next to this one; it is on no path."""
        return Site(self.folder.parent / name, self.work)

    def entries(self, **policy: Any) -> list[Entry]:
        """Return what `discover` finds in this folder."""
        self.warnings.clear()
        found = discover(Config(policy=Policy(**policy)), self.warnings.append)
        return [entry for entry in found if normalise_name(entry.distribution) in self.distributions]

    def load(self, **policy: Any) -> Loaded:
        """Import what `discover` finds in this folder, in this process."""
        return load(self.entries(**policy), Config(policy=Policy(**policy)))

    def agent(self, source: str, value: str = "pkg_a:Support") -> LoadedAgent:
        """Install the package ``pkg-a`` with one agent, load it and return the agent."""
        self.add("pkg-a", agents={"helpdesk": value}, files={"pkg_a.py": source}, summary="Of the package")
        (loaded,) = self.load().agents
        return loaded

    def plugin(self, source: str, value: str = "pkg_p") -> LoadedPlugin:
        """Install the package ``pkg-p`` with one plugin, load it and return the plugin."""
        self.add("pkg-p", plugins={"vip": value}, files={"pkg_p.py": source})
        (loaded,) = self.load().plugins
        return loaded

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``openrtc`` with these distributions installed."""
        if template := find_template(("-m", "openrtc", *arguments), env or {}):
            return self.fork(template, "-m", "openrtc", *arguments, env=env)
        return self.python("-m", "openrtc", *arguments, env=env)

    def fork(
        self, template: Template, *command: str, env: Mapping[str, str] | None = None, typed: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command with these distributions installed, in a process that is forked from another one.

        Args:
            template: That one.
            command: What comes after the interpreter.
            env: Variables of its environment.
            typed: What it reads.
        """
        return template.run(command, environ=self.environment(env), cwd=self.work, typed=typed)

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: Path | int = NOTHING,
        stdout: Path | int = NOTHING,
        stderr: Path | int = NOTHING,
    ) -> ForkedProcess:
        """Start ``openrtc`` with these distributions installed.

        Args:
            arguments: What comes after the command's name.
            env: Variables of its environment.
            stdin: What it reads: a file or a descriptor, which is closed here.
            stdout: Where it writes, likewise.
            stderr: Where it writes errors, likewise.
        """
        with open(stdin, "rb") as reads, open(stdout, "wb") as writes, open(stderr, "wb") as errors:
            files = (reads.fileno(), writes.fileno(), errors.fileno())
            command = ("-m", "openrtc", *arguments)
            return worker_template().start(command, environ=self.environment(env), cwd=self.work, files=files)

    def python(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run Python with these distributions installed."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.work,
            env=self.environment(env),
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return an environment with this folder on the path and none of the operator's settings."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENRTC_", "LIVEKIT_", "COLUMNS", "FORCE_"))}
        own = {"PYTHONPATH": str(self.folder), "PYTHONIOENCODING": "utf-8"}
        return {**kept, **own, **self._runtime, **(env or {})}

    @property
    def only(self) -> str:
        """The option that allows these distributions and none of the others that are installed."""
        return f"--allow={','.join(sorted(self.distributions)) or 'nobody'}"

    def agents(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """Return this folder's rows of ``openrtc list-agents --json`` by name."""
        return self._rows("list-agents", "agents", arguments)

    def plugins(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """Return this folder's rows of ``openrtc plugins --json`` by name."""
        return self._rows("plugins", "plugins", arguments)

    def _rows(self, command: str, key: str, arguments: Sequence[str]) -> dict[str, dict[str, Any]]:
        result = self.run(command, "--json", *arguments)
        assert result.returncode == 0, result.stderr
        document = json.loads(result.stdout)
        assert document["schema_version"] == 1
        return {row["name"]: row for row in document[key] if normalise_name(row["distribution"]) in self.distributions}


def check_broken(item: LoadedAgent | LoadedPlugin, reason: str, fix: str, place: str | None = None) -> None:
    """Check state, reason and fix (patterns) and the end of the place."""
    assert item.state is State.BROKEN
    assert re.search(reason, item.reason or ""), item.reason
    assert re.search(fix, item.fix or ""), item.fix
    assert "\n" not in f"{item.reason}{item.fix}"
    if place:
        assert (item.location or "").endswith(place), item.location


def _write(path: Path, content: str | bytes) -> None:
    if isinstance(content, str):
        content = content.encode()
    if content:
        path.write_bytes(content)


@pytest.fixture
def own_log() -> Iterator[None]:
    """Lets a test configure the log, and takes that back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    log_guard.uninstall()
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime_folder: Path) -> Iterator[Site]:
    """A folder of installed distributions, on `sys.path` for the time of the test, which sees no other's workers."""
    folder, work = tmp_path / "site", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield Site(folder, work)
    for name in set(sys.modules) - before:
        place = getattr(sys.modules[name], "__file__", None) or str(getattr(sys.modules[name], "__path__", ""))
        if str(folder) in place:
            del sys.modules[name]


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A folder of installed distributions for commands whose answers several tests look at; it is not on `sys.path`."""
    folder, work = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("work")
    with tempfile.TemporaryDirectory(prefix="rt") as runtime:
        yield Site(folder, work, runtime)


@pytest.fixture(name="check_broken")
def _check_broken() -> Callable[..., None]:
    """A function that checks state, reason and fix (patterns) and the end of the place of what was loaded."""
    return check_broken


@pytest.fixture
def runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty XDG_RUNTIME_DIR, in which workers have their sockets; its path is short, as those of sockets must be."""
    with tempfile.TemporaryDirectory(prefix="rt") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture
def agent_source() -> str:
    """Source of a module with the agent class ``Support``."""
    return AGENT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use `speech`: the voice's process is started for whichever of them runs first."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and "speech" in getattr(item, "fixturenames", ()):
            item.add_marker("process")


@pytest.fixture(scope="session")
def speech() -> tuple[Any, int]:
    """Two sentences with a pause between them, as mono samples, and their rate."""
    from offline_speech import synthesize  # with livekit-agents, which most tests do without

    return synthesize("Hello there, where is my order? It should have come on Monday.")
