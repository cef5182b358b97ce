"""A test that starts a process without the mark `process` fails, so that `nox -s unit` stays quick."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import asyncio
import os
import subprocess
import sys

import pytest

PROGRAM = [sys.executable, "-c", ""]

def test_runs_a_program():
    subprocess.run(PROGRAM, check=True)

def test_hides_that_it_was_refused():
    try:
        subprocess.run(PROGRAM, check=True)
    except Exception:
        pass

def test_runs_a_program_in_a_loop():
    async def run():
        await (await asyncio.create_subprocess_exec(*PROGRAM)).wait()
    asyncio.run(run())

def test_forks():
    if os.fork() == 0:
        os._exit(0)

def test_starts_nothing():
    assert True

@pytest.mark.process
def test_says_that_it_runs_a_program():
    subprocess.run(PROGRAM, check=True)
"""


@pytest.mark.process
def test_only_marked_tests_may_start_processes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = process")
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "4 failed, 2 passed" in done.stdout, done.stdout
    assert "PASSED test_it.py::test_starts_nothing" in done.stdout
    assert "PASSED test_it.py::test_says_that_it_runs_a_program" in done.stdout
    assert "mark it with @pytest.mark.process" in done.stdout
