"""What `openrtc new` makes: all five kinds are installed and tested; `nox -s lint` lints and types them."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e2e.worker_template import worker_template
from openrtc.cli.main import main
from openrtc.scaffold.kinds import PACKAGE_KINDS

pytestmark = pytest.mark.process


def run(*command: str, cwd: Path, path: Path | None = None) -> str:
    env = {**os.environ, "PYTHONPATH": str(path or "")}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_kind_installs_and_passes_its_own_tests(tmp_path: Path) -> None:
    names = [f"new-{kind}" for kind in PACKAGE_KINDS]
    for kind, name in zip(PACKAGE_KINDS, names, strict=True):
        assert main(["new", kind, name, f"--into={tmp_path}"]) == 0
    installed = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    run(*pip, str(installed), *(f"./{name}" for name in names), cwd=tmp_path)
    # One process for all: each has the same settings of pytest.
    pytest_ = ["-m", "pytest", "-q", "-c", "new-agent/pyproject.toml", "--rootdir", "."]
    environ = {**os.environ, "PYTHONPATH": str(installed)}
    tested = worker_template().run([*pytest_, *(f"{name}/tests" for name in names)], environ=environ, cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    # Of the others, the router and the plugin have nothing more to check, and a cast is built as an agent is.
    with ThreadPoolExecutor() as threads:
        checks = {
            f"{name} 0.1.0: {level}": threads.submit(
                run, sys.executable, "-m", "openrtc", "check", name, cwd=tmp_path, path=installed
            )
            for name, level in (("new-cast", "gold"), ("new-livekit", "bronze"))
        }
    for told, check in checks.items():
        assert told in check.result()
