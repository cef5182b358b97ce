"""Fixtures of the fault tests, and the table that they print at the end."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.reporting import show_log_on_failure
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess, openrtc_worker
from faults.bystander_calls import BystanderCalls
from faults.failing_agents import BYSTANDER
from faults.rows import PendingRow, Row, as_text, write
from faults.stage import Fault, Injection, Outcome, Stage
from openrtc.server import LocalServer
from openrtc.server.settings import find_free_port

StartWorker = Callable[..., WorkerProcess]
Inject = Callable[..., AbstractContextManager[Fault]]
InjectSideBySide = Callable[[Mapping[str, Injection]], None]

TABLE_OPTION = "--fault-table"
ROW = "fault row"
"""Property of a test's report that brings its row of the table, also from another process."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the table."""
    parser.addoption(TABLE_OPTION, metavar="PATH", help="write the table of faults to PATH: .json, else Markdown")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and run those marked ``last`` after the others."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("faults")
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def pytest_configure(config: pytest.Config) -> None:
    """Collect the rows of the table, wherever the tests run."""
    config.pluginmanager.register(FaultTable(), "fault-table")


class FaultTable:
    """The rows of the tests' reports, in the order of the tests' files."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Row] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the rows of a test; those of its first try are replaced."""
        if report.when == "teardown":
            rows = [Row(**values) for name, values in report.user_properties if name == ROW]  # type: ignore[arg-type]
            self._rows |= {(report.nodeid.partition("::")[0], row.fault): row for row in rows}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """Print the table, and write it where that was asked for."""
        rows = [self._rows[key] for key in sorted(self._rows, key=lambda key: key[0])]
        if not rows:
            return
        terminalreporter.section("faults, and what a bystander in the same worker heard of them")
        for line in as_text(rows):
            terminalreporter.line(line)
        if path := config.getoption(TABLE_OPTION, default=None):
            write(rows, Path(path))


class Stages:
    """The stage that faults share; a new one when a fault has ended its worker or its bystander's call.

    Args:
        api: The LiveKit server.
        folder: For the stages' files.
    """

    def __init__(self, api: ServerApi, folder: Path) -> None:
        self._api = api
        self._folder = folder
        self._count = 0
        self._stage: Stage | None = None

    def get(self) -> Stage:
        """Return the stage."""
        if self._stage is None or not self._stage.becomes_usable():
            control = self._stage.control if self._stage else None
            self.close()
            self._count += 1
            self._stage = Stage(self._api, self._folder / str(self._count), control=control)
        return self._stage

    def check(self) -> None:
        """Check that after all faults nothing is left behind in the stage, and that its bystander hears its agent."""
        if self._stage and self._stage.worker.running:
            assert not (why := self._stage.describe_leak()), why
            assert self._stage.bystander_hears()

    def close(self) -> None:
        """End the stage."""
        if self._stage:
            self._stage.close()


@pytest.fixture(autouse=True)
def no_rooms_left_by_the_first_try() -> None:
    """Let the rooms be before a test is tried once more: the bystander is in one, and the others have new names."""


@pytest.fixture(scope="session")
def stages(api: ServerApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """The stages of this run."""
    made = Stages(api, tmp_path_factory.mktemp("stages"))
    yield made
    try:
        made.check()
    finally:
        made.close()


@pytest.fixture
def stage(stages: Stages, request: pytest.FixtureRequest) -> Stage:
    """A worker with a bystander's call in it."""
    current = stages.get()
    show_log_on_failure(request.node, current.worker)
    return current


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[[Row], None]:
    """Add a row to the table."""
    return lambda row: record_property(ROW, asdict(row))


@pytest.fixture
def command(request: pytest.FixtureRequest) -> str:
    """What repeats this test."""
    return f"python -m nox -s faults -- {request.node.nodeid}"


@pytest.fixture
def inject(stage: Stage, report: Callable[[Row], None], command: str) -> Inject:
    """Inject a fault in a ``with`` block: takes what is done, and ``lost=`` what is lost by it."""
    return functools.partial(stage.fault, command=command, report=report)


@pytest.fixture(scope="session")
def outcomes() -> dict[str, dict[str, Outcome]]:
    """What became of the faults that were injected side by side, by their test and its parameters."""
    return {}


@pytest.fixture
def inject_side_by_side(
    stages: Stages,
    outcomes: dict[str, dict[str, Outcome]],
    report: Callable[[Row], None],
    command: str,
    request: pytest.FixtureRequest,
) -> InjectSideBySide:
    """Take the faults of all parameters of a test, by the parameters' name.

    The first test injects those of all tests that are to run in this process; each looks at what became of its own.
    """

    def inject(injections: Mapping[str, Injection]) -> None:
        test, again = name_of(request.node), getattr(request.node, "execution_count", 1) > 1
        if test not in outcomes or again:
            chosen = [request.node] if again else [item for item in request.session.items if name_of(item) == test]
            names = [item.callspec.id for item in chosen if isinstance(item, pytest.Function)]
            stage = stages.get()
            show_log_on_failure(request.node, stage.worker)
            outcomes.setdefault(test, {}).update(stage.inject_side_by_side({name: injections[name] for name in names}))
        outcome = outcomes[test][request.node.callspec.id]
        report(outcome.row.row(command, passed=not outcome.problem))
        assert not outcome.problem, outcome.problem

    return inject


def name_of(item: pytest.Item) -> str:
    """Return the name of a test without its parameters."""
    return item.nodeid.partition("[")[0]


@pytest.fixture
def killable_server() -> Iterator[LocalServer]:
    """A LiveKit server of its own that a test may kill; when it is started again, it has the same address."""
    with LocalServer(port=find_free_port(socket.SOCK_STREAM)) as running:
        yield running


@pytest.fixture
def killable_api(killable_server: LocalServer) -> ServerApi:
    """That server's API."""
    return ServerApi(killable_server.url, killable_server.api_key, killable_server.api_secret)


@pytest.fixture
def start(killable_api: ServerApi, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StartWorker]:
    """Start a worker, with options and further packages, at that or another server; the test decides how it ends."""
    started: list[WorkerProcess] = []
    folder = tmp_path / "packages"

    def one(
        *options: str, packages: Sequence[Package] = (), server: ServerApi = killable_api, **more: Any
    ) -> WorkerProcess:
        installed = (TONE_AGENTS, BYSTANDER, *packages)
        for package in installed:
            package.install_into(folder)
        log = tmp_path / f"worker-{len(started)}.log"
        allowed = ("--allow", ",".join(package.name for package in installed))
        started.append(openrtc_worker(server, log, *allowed, *options, folders=[folder], **more))
        show_log_on_failure(request.node, started[-1])
        return started[-1].wait_until_ready()

    yield one
    for worker in started:
        worker.kill()


@pytest.fixture
def people(callers: CallersProcess, killable_server: LocalServer) -> Iterator[CallersProcess]:
    """A process for callers at that server."""
    url, callers.url = callers.url, killable_server.url
    yield callers
    callers.url = url


@pytest.fixture
def bystander_calls(killable_api: ServerApi, people: CallersProcess) -> BystanderCalls:
    """Callers at that server who know which worker answered them."""
    return BystanderCalls(killable_api, people)


@pytest.fixture
def row(request: pytest.FixtureRequest, report: Callable[[Row], None], command: str) -> Iterator[PendingRow]:
    """The row of a test without a stage: filled in as it goes, and reported at its end, passed or not."""
    pending = PendingRow()
    failed = request.session.testsfailed
    yield pending
    report(pending.row(command, passed=request.session.testsfailed == failed))
