"""A worker leaves nothing of the calls that have ended: the short form of `nox -s soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.worker_template import worker_template

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"
AN_EIGHTH_OF_A_MINUTE = "0.125"


@pytest.mark.process
def test_nothing_is_left_of_calls_that_have_ended() -> None:
    ended = worker_template().run([str(SOAK), AN_EIGHTH_OF_A_MINUTE])
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "without an answer" in ended.stdout
