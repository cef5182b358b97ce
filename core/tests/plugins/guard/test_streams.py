from __future__ import annotations

import subprocess
import sys

import pytest

from openrtc.plugins.guard.streams import keep_streams_open

WRAPS = """
import gc, io, sys
from openrtc.plugins.guard.streams import keep_streams_open
print("before")
keep_streams_open()
keep_streams_open()
given = sys.stdout
for _ in range(3):
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="latin-1")
    gc.collect()
sys.stdout.close()
given.close()
sys.stdout = given
print("after, äöü")
print("error", file=sys.stderr)
"""


@pytest.mark.process
def test_what_is_wrapped_and_closed_again_and_again_can_be_written_to() -> None:
    command = [sys.executable, "-X", "utf8", "-c", WRAPS]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "before\nafter, äöü\n", "error\n")


def test_a_stream_of_somebody_else_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    keep_streams_open()
    assert (sys.stdout, sys.stderr) == before
