"""Builds a wheel of a project's folder with the backend that is installed; nothing is downloaded."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openrtc.check.surroundings import list_variables
from openrtc.discovery.installed import find_named
from openrtc.discovery.requirements import compare
from openrtc.errors import OpenRTCError, one_line
from openrtc.install_commands import install_command
from openrtc.posix import kill_group

PYPROJECT = "pyproject.toml"
WHEEL_SECONDS = 300.0
_OLD_BACKEND = "setuptools.build_meta:__legacy__"
"""What builds a project that names no backend (PEP 517)."""
_LEFT = ("build", "*.egg-info", "src/*.egg-info")
"""What setuptools leaves in a project's folder when it builds a wheel."""


class MissingBackend(OpenRTCError):
    """What builds the project is not installed."""


def build_wheel(project: Path, scratch: Path) -> Path:
    """Build a wheel of a project, in a process of its own that has no credentials.

    Args:
        project: The project's folder.
        scratch: An empty folder.

    Returns:
        The wheel.

    Raises:
        MissingBackend: What builds it is not installed.
        OpenRTCError: It is no project, or cannot be built.
    """
    system = _read_build_system(project)
    _require(system["requires"], project)
    needs = scratch / "needs.txt"
    before = set(_list_left(project))
    script = str(Path(__file__).with_name("build_child.py"))
    path = ":".join(system["backend-path"]) if sys.platform != "win32" else ";".join(system["backend-path"])
    command = [sys.executable, "-P", script, system["build-backend"], path, str(scratch), str(needs)]
    try:
        code, said = _run(command, project, scratch)
    finally:
        for left in set(_list_left(project)) - before:
            shutil.rmtree(left, ignore_errors=True)
    wheels = sorted(scratch.glob("*.whl"))
    if code == 0 and wheels:
        return wheels[0]
    if needs.is_file():
        _require(needs.read_text(encoding="utf-8").splitlines(), project)
    last = next((line for line in reversed(said.splitlines()) if line.strip()), f"exit code {code}")
    raise OpenRTCError(f"{system['build-backend']} cannot build it: {one_line(last, 300)}", origin=str(project))


def _run(command: Sequence[str], project: Path, scratch: Path) -> tuple[int | None, str]:
    """Run a command, and return its exit code and what it said; None where it had not ended in time."""
    with (scratch / "build.log").open("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command,
            cwd=project,
            env=list_variables(scratch),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(WHEEL_SECONDS)
        except subprocess.TimeoutExpired:
            raise OpenRTCError(f"its build had not ended after {WHEEL_SECONDS:g} s", origin=str(project)) from None
        finally:
            kill_group(process)
            process.kill()
            process.wait()
        log.seek(0)
        return code, log.read()


def _read_build_system(project: Path) -> dict[str, Any]:
    file = project / PYPROJECT
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    except (ValueError, OSError) as error:
        raise OpenRTCError(f"it cannot be read: {one_line(str(error))}", origin=str(file)) from None
    if document is None and not (project / "setup.py").is_file():
        fix = f"write a {PYPROJECT}, as docs/first-agent.md has it, or name a folder that has one"
        raise OpenRTCError(f"it is no Python project: it has no {PYPROJECT}", origin=str(project), fix=fix)
    found: Mapping[str, Any] = (document or {}).get("build-system") or {}
    system = {
        "requires": found.get("requires", ["setuptools"]),
        "build-backend": found.get("build-backend", _OLD_BACKEND),
        "backend-path": found.get("backend-path", []),
    }
    if not isinstance(system["build-backend"], str) or not all(
        _is_texts(system[one]) for one in ("requires", "backend-path")
    ):
        raise OpenRTCError("its [build-system] is not as PEP 517 has it", origin=str(file))
    return system


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _require(requirements: Iterable[str], project: Path) -> None:
    """Raise where what builds a project is not installed."""
    from packaging.requirements import InvalidRequirement, Requirement

    installed = find_named()
    missing = []
    for text in requirements:
        try:
            one = Requirement(text)
        except InvalidRequirement:
            raise OpenRTCError(
                f"it needs {text!r:.100} to be built, which is no requirement", origin=str(project)
            ) from None
        if (one.marker is None or one.marker.evaluate()) and compare(one, installed):
            missing.append(f"{one.name}{one.specifier}")
    if missing:
        reason = f"what builds it is not installed, and nothing is downloaded: {', '.join(missing)}"
        fix = f"{install_command(missing[0])}; or build a wheel elsewhere, and check that"
        raise MissingBackend(reason, origin=str(project), fix=fix)


def _list_left(project: Path) -> Iterator[Path]:
    for pattern in _LEFT:
        yield from project.glob(pattern)
