"""How pytest is run where tests measure time: as many at once as there is room for, and each session in its turn."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nox
from give_way import come_first
from nox.command import CommandFailed

SECONDS_FOR_ONE_TEST = 180
PYTEST = ["pytest", f"--timeout={SECONDS_FOR_ONE_TEST}"]
FAILED_TESTS = "OPENRTC_FAILED_TESTS"
"""Names the file to which pytest adds the tests that fail; see `conftest.py`."""
TESTS_RAN = [0, 1]
"""What pytest ends with when all tests pass, and when some fail."""
GIVING_WAY = ["python", str(Path(__file__).with_name("give_way.py"))]
SECONDS_AT_ONCE = 0.25
"""What `measure_processor` returns, times how many files of real-time tests two processors take at once: with 0.14 to
0.2 s, three at a time made each other fail, and five with 0.06 s."""


def at_once(more: int = 0) -> list[str]:
    """Return the arguments for pytest that run files beside each other, as many as the processors take.

    Args:
        more: How many more than of those that are sensitive to time.
    """
    fitting = min(max(int(SECONDS_AT_ONCE / measure_processor()), 2), 4)
    return [f"--numprocesses={fitting + more}", "--dist=loadfile"]


def measure_processor() -> float:
    """Return how long a fixed computation takes, in seconds, the shortest of five: a processor may be shared."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        sum(number * number for number in range(2_000_000))
        times.append(time.perf_counter() - began)
    return min(times)


@contextmanager
def in_turn(name: str = "tests") -> Iterator[None]:
    """Run tests one session after the other, where CI runs several at once."""
    folder = os.environ.get("OPENRTC_TEST_LOCKS")
    if folder is None:
        yield
        return
    import fcntl  # not on Windows, where that CI does not run

    with Path(folder, name).open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def measuring() -> Iterator[None]:
    """Be the only session that runs tests that measure time, before all others on the processors."""
    with in_turn("measuring"):
        come_first()
        yield


@contextmanager
def beside(session: nox.Session, *command: str) -> Iterator[None]:
    """Run pytest beside the body, with what that leaves of the processors; what fails is run again after both."""
    with tempfile.TemporaryDirectory() as folder:
        failed, log = Path(folder) / "failed-tests", Path(folder) / "log"
        env = os.environ | {name: value for name, value in session.env.items() if value is not None}
        env |= {"PATH": f"{session.bin}{os.pathsep}{os.environ['PATH']}", FAILED_TESTS: str(failed)}
        locks = os.environ.get("OPENRTC_TEST_LOCKS")
        turn = ["flock", str(Path(locks, "tests"))] if locks else []  # as `in_turn`, which would hold up the body
        with log.open("wb") as output:
            session.log(f"beside what follows: {' '.join(command)}")
            running = subprocess.Popen([*GIVING_WAY, *turn, *command], env=env, stdout=output, stderr=output)
            try:
                yield
            except KeyboardInterrupt:
                running.terminate()
                raise
            finally:
                code = running.wait()
                print(log.read_text(errors="replace"), flush=True)
        if code not in TESTS_RAN:
            session.error(f"pytest ended with {code}")
        run_again(session, failed, *command)


def run_patiently(session: nox.Session, *command: str, **options: Any) -> None:
    """Run pytest, and what fails once more, by itself and in a new process: that is told, with its first failure."""
    with tempfile.TemporaryDirectory() as folder:
        failed = Path(folder) / "failed-tests"
        run_once(session, failed, *command, **options)
        run_again(session, failed, *command, **options)


def run_once(session: nox.Session, failed: Path, *command: str, **options: Any) -> None:
    """Run pytest, and write the names of the tests that fail into a file."""
    env = {**options.pop("env", {}), FAILED_TESTS: str(failed)}
    session.run(*command, env=env, success_codes=TESTS_RAN, **options)


def run_again(session: nox.Session, failed: Path, *command: str, **options: Any) -> None:
    """Run the tests again, alone, that have failed in this command."""
    if failed.exists() and (names := failed.read_text()):
        session.log(f"these tests have failed and are run again, alone:\n{names}")
        again = command[: command.index(f"--timeout={SECONDS_FOR_ONE_TEST}") + 1]
        session.run(*again, f"@{failed}", "--reruns=1", "--reruns-delay=5", **options)


def run_each(session: nox.Session, *commands: list[str]) -> list[str]:
    """Run commands one after the other, all of them also when one fails; return those that do."""
    failed = []
    for command in commands:
        try:
            run_patiently(session, *command)
        except CommandFailed:
            failed.append(" ".join(command))
    return failed
