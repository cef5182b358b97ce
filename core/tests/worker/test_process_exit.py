from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.process

HANGS = """
import atexit, threading, sys
from openrtc.worker import process_exit
process_exit.EXIT_SECONDS = 0.2
def wait_for_ever():
    threading.Event().wait()
atexit.register(print, "registered before", flush=True)
atexit.register(wait_for_ever)
process_exit.exit_process(7)
"""


def run(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_function_of_atexit_that_hangs_is_left_behind_and_named() -> None:
    done = run(HANGS)
    assert done.returncode == 7
    assert done.stderr == ("the process ends without what hangs in a function of atexit after 0.2 s, at <string>:6\n")


def test_compiled_code_that_hangs_has_no_place() -> None:
    done = run(HANGS.replace("atexit.register(wait_for_ever)", "import time\natexit.register(time.sleep, 60)"))
    assert (done.returncode, done.stderr.partition("0.2 s, ")[2]) == (7, "in compiled code\n")


def test_functions_of_atexit_run_one_that_fails_too() -> None:
    done = run(HANGS.replace("threading.Event().wait()", "raise SystemExit(3)"))
    assert (done.returncode, done.stdout) == (7, "registered before\n")
