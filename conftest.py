"""For the tests of all distributions: a test that starts a process says so with the mark `process`, or fails.

So `nox -s unit`, which leaves the marked ones out, stays quick and needs neither Go nor a LiveKit server. A test that
runs a worker, which changes livekit-agents for its whole process, has one of its own by the mark `own_process`.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"}
"""Python's audit events when a process is started; `asyncio` and `multiprocessing` start theirs by one of them."""
FAILED_TESTS = os.environ.pop("OPENRTC_FAILED_TESTS", None)
"""A file to which the names of failed tests are added, for whoever runs these again (`tools/timed_runs.py`); tests
that run pytest themselves shall not."""
OWN_PROCESS = "OPENRTC_TESTS_OWN_PROCESS"
"""Set in the process of a test that has one of its own."""
TIMED = [Path(__file__).parent / "tests" / name for name in ("e2e", "operations", "faults")]
TIMED += [Path(__file__).parent / "plugins/openrtc-playground/page"]  # `nox -s browser`
"""Where tests of real time are run from."""
HARMLESS = {"uname"}
"""`platform.uname` of the standard library runs it once, when whatever is imported first wants to know the machine."""


class ProcessGuard:
    """Refuses to start a process in a test without the mark; one for each process that runs tests."""

    def __init__(self) -> None:
        self.refuses = False
        self.refused: list[str] = []
        self._pid = os.getpid()
        sys.addaudithook(self._audit)  # there is no way to remove it, hence one for the whole run

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.refuses or event not in STARTS or os.getpid() != self._pid:
            return
        program = str(arguments[0]) if arguments else event
        if program not in HARMLESS:
            self.refused.append(program)
            raise RuntimeError(f"this test starts {program!r}: mark it with @pytest.mark.process")


GUARD = ProcessGuard()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector off what is there before the first test, since it is to the last."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test that asks for it a process of its own; see that timed tests are where `noxfile.py` looks."""
    for item in items:
        timed = item.get_closest_marker("realtime") or item.get_closest_marker("alone")
        if timed and not any(folder in item.path.parents for folder in TIMED):
            raise pytest.UsageError(f"{item.nodeid} measures time: move it to tests/e2e or tests/operations")
        if item.get_closest_marker("own_process"):
            item.add_marker("process")
            if OWN_PROCESS not in os.environ:
                item.runtest = functools.partial(run_in_own_process, item)  # type: ignore[method-assign]


def run_in_own_process(item: pytest.Item) -> None:
    """Run a test with a pytest of its own, and fail with what that prints if it fails there."""
    from e2e.worker_template import worker_template  # only where there is such a test

    environment = {**os.environ, OWN_PROCESS: "1"}
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS"):
        environment.pop(name, None)
    where = f"{item.path}::{item.nodeid.partition('::')[2]}"
    command = ["-m", "pytest", f"--rootdir={item.config.rootpath}", "-p", "no:cacheprovider", where]
    done = worker_template().run(command, environ=environment, cwd=item.config.rootpath)
    assert done.returncode == 0, f"it failed in a process of its own:\n{done.stdout}{done.stderr}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Refuse processes while a test without the mark is set up, run and torn down."""
    GUARD.refused.clear()
    GUARD.refuses = item.get_closest_marker("process") is None
    try:
        return (yield)
    finally:
        GUARD.refuses = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Fail a test also where the code that it tests has swallowed the refusal."""
    yield
    assert not GUARD.refused, f"this test starts {GUARD.refused}: mark it with @pytest.mark.process"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the first failure of each test that was tried again, and note which are to be."""
    if FAILED_TESTS and not hasattr(terminalreporter.config, "workerinput"):  # which a process of pytest-xdist has
        failed = [report.nodeid for kind in ("failed", "error") for report in terminalreporter.stats.get(kind, [])]
        with open(FAILED_TESTS, "a", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in dict.fromkeys(failed))
    # That it passed then must not hide a fault.
    first_tries = terminalreporter.stats.get("rerun", [])
    if first_tries:
        terminalreporter.section("first failures of tests that were tried again")
    for report in first_tries:
        terminalreporter.write_sep("_", report.nodeid)
        terminalreporter.write_line(str(report.longrepr))
