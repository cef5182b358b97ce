"""A worker leaves nothing of the calls that have ended: the short form of `nox -s soak`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"
AN_EIGHTH_OF_A_MINUTE = "0.125"


@pytest.mark.process
def test_nothing_is_left_of_calls_that_have_ended() -> None:
    command = [sys.executable, str(SOAK), AN_EIGHTH_OF_A_MINUTE]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "without an answer" in ended.stdout
