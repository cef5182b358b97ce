"""The sample packages of each release, kept as wheels in `released/`, run with the OpenRTC of this tree.

So a change that breaks packages out there is seen here; docs/stability.md says what they may rely on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.worker_template import worker_template

RELEASED = Path(__file__).parent / "released"
RELEASES = sorted(path.name for path in RELEASED.iterdir())
LARGEST_WHEEL = 20_000
"""Bytes: what is kept for each release stays in the repository for ever."""


def install(version: str, folder: Path) -> set[str]:
    """Install a release's wheels with pip; return the names of their distributions."""
    wheels = sorted((RELEASED / version).glob("*.whl"))
    assert all(wheel.stat().st_size < LARGEST_WHEEL for wheel in wheels)
    options = ["--no-deps", "--no-index", "--quiet", "--target", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *map(str, wheels)], check=True)
    return {wheel.name.partition("-")[0].replace("_", "-") for wheel in wheels}


def run_openrtc(folder: Path, *arguments: str) -> str:
    """Run ``openrtc`` with the packages of the folder before all others; fail when it fails."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("OPENRTC_", "LIVEKIT_"))}
    done = worker_template().run(["-m", "openrtc", *arguments], environ=env | {"PYTHONPATH": str(folder)}, cwd=folder)
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.process
@pytest.mark.parametrize("version", RELEASES)
def test_the_sample_packages_of_a_release_still_answer(version: str, tmp_path: Path) -> None:
    names = install(version, tmp_path)
    allowed = f"--allow={','.join(sorted(names | {'openrtc-offline'}))}"
    rows = json.loads(run_openrtc(tmp_path, "list-agents", "--json", allowed))["agents"]
    agents = [row for row in rows if row["distribution"] in names]
    assert {(row["version"], row["state"]) for row in agents} == {(version, "installed")}
    said = run_openrtc(tmp_path, "demo", "--text", allowed)
    # A call for each agent that speaks alone, and one that the router package decides.
    assert "5 good calls of 5, 4 agents" in said, said
    assert "vip-call-1 -> sales   my-vip-router:vip: " in said
    for agent in ("dispatcher", "driver", "sales", "support"):
        assert f"-> {agent} " in said
