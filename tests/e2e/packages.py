"""Agent packages for tests: installed into a folder without pip, or as a project that pip builds and installs."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

AGENTS_GROUP = "openrtc.agents"
PLUGINS_GROUP = "openrtc.plugins"


@dataclass(frozen=True, kw_only=True)
class Package:
    """A distribution.

    Args:
        name: Its name.
        modules: Source of each module by file name, such as ``{"my_agent.py": "…"}``; indentation is taken off.
        agents: Entry points of the group ``openrtc.agents``.
        plugins: Entry points of the group ``openrtc.plugins``.
        version: Its version.
        requires: Its requirements.
        summary: One line.
        entry_points: The file ``entry_points.txt`` byte by byte, instead of what ``agents`` and ``plugins`` say.
        metadata: The file ``METADATA`` byte by byte; empty bytes leave it out.
    """

    name: str
    modules: Mapping[str, str] = field(default_factory=dict)
    agents: Mapping[str, str] = field(default_factory=dict)
    plugins: Mapping[str, str] = field(default_factory=dict)
    version: str = "1.0.0"
    requires: tuple[str, ...] = ()
    summary: str = ""
    entry_points: bytes | None = None
    metadata: bytes | None = None

    def install_into(self, folder: Path) -> Path:
        """Write modules and metadata into ``folder``, as pip leaves them in site-packages; return the folder."""
        self._write_modules(folder)
        info = folder / f"{self.name.replace('-', '_')}-{self.version}.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        if metadata := self._metadata():
            (info / "METADATA").write_bytes(metadata)
        (info / "entry_points.txt").write_bytes(self._entry_points())
        (info / "INSTALLER").write_text("pip\n")
        files = [*self.modules, *(f"{info.name}/{file.name}" for file in info.iterdir())]
        (info / "RECORD").write_text("".join(f"{name},,\n" for name in [*files, f"{info.name}/RECORD"]))
        return folder

    def write_project(self, folder: Path) -> Path:
        """Write a project that pip can build: a ``pyproject.toml`` and the modules; return the folder."""
        self._write_modules(folder)
        (folder / "pyproject.toml").write_text(self._pyproject())
        return folder

    def build_wheel(self, folder: Path) -> Path:
        """Build the distribution with pip in ``folder``; return the wheel."""
        project = self.write_project(folder / "project")
        options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
        subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(project)], check=True)
        (wheel,) = folder.glob("*.whl")
        return wheel

    def _write_modules(self, folder: Path) -> None:
        for name, source in self.modules.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(source))

    def _groups(self) -> dict[str, Mapping[str, str]]:
        groups = {AGENTS_GROUP: self.agents, PLUGINS_GROUP: self.plugins}
        return {group: entries for group, entries in groups.items() if entries}

    def _entry_points(self) -> bytes:
        if self.entry_points is not None:
            return self.entry_points
        lines = [
            line
            for group, entries in self._groups().items()
            for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
        ]
        return "\n".join([*lines, ""]).encode()

    def _metadata(self) -> bytes:
        if self.metadata is not None:
            return self.metadata
        lines = ["Metadata-Version: 2.3", f"Name: {self.name}", f"Version: {self.version}"]
        lines += [f"Summary: {self.summary}"] if self.summary else []
        lines += [f"Requires-Dist: {requirement}" for requirement in self.requires]
        return "\n".join([*lines, ""]).encode()

    def _pyproject(self) -> str:
        # Strings and lists of strings are written alike in JSON and TOML.
        lines = ["[build-system]", 'requires = ["hatchling"]', 'build-backend = "hatchling.build"', "[project]"]
        values = {"name": self.name, "version": self.version, "description": self.summary or "A test."}
        values |= {"requires-python": ">=3.11"}
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        lines += [f"dependencies = {json.dumps(list(self.requires))}"]
        for group, entries in self._groups().items():
            lines += [f"[project.entry-points.{json.dumps(group)}]"]
            lines += [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in entries.items()]
        tops = sorted({name.split("/")[0] for name in self.modules})
        lines += ["[tool.hatch.build.targets.wheel]", f"only-include = {json.dumps(tops)}"]
        return "\n".join([*lines, ""])


class Environment:
    """A virtual environment that also sees every package of this one, whose pip installs into it.

    Args:
        folder: Where to make it.
    """

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        (self.site_packages,) = folder.glob("lib/python*/site-packages")
        # Unlike a line with a path, addsitedir() follows the .pth files there: editable installations are seen.
        seen = [path for path in sys.path if path.endswith("site-packages")]
        lines = [f"import site; site.addsitedir({path!r})" for path in seen]
        (self.site_packages / "of_the_tests.pth").write_text("\n".join([*lines, ""]))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run this environment's Python; fail when it fails."""
        return _run(str(self.python), *arguments)

    def install(self, wheel: Path) -> None:
        """Install a wheel with pip, without its requirements: they are here."""
        self._run_pip("install", "--no-deps", "--no-index", "--quiet", str(wheel))

    def uninstall(self, name: str) -> None:
        """Uninstall a distribution with pip."""
        self._run_pip("uninstall", "--yes", "--quiet", name)

    def _run_pip(self, *arguments: str) -> None:
        _run(sys.executable, "-m", "pip", "--python", str(self.python), *arguments)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
