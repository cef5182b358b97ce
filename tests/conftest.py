"""Fixtures of the end-to-end tests: one server for all of them, callers, workers, a voice and a speech recogniser."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.callers import CallersProcess
from e2e.recognition import Recogniser
from e2e.reporting import logs_for, show_log_on_failure
from e2e.server_api import ServerApi
from e2e.speech import Voice
from e2e.worker import WorkerProcess, openrtc_worker
from openrtc.server import LocalServer


@pytest.fixture(scope="session")
def server() -> Iterator[LocalServer]:
    """The real LiveKit server, on loopback addresses and free ports."""
    with LocalServer(port=0) as running:
        yield running


@pytest.fixture(scope="session")
def api(server: LocalServer) -> ServerApi:
    """The server's API."""
    return ServerApi(server.url, server.api_key, server.api_secret)


@pytest.fixture(autouse=True)
def no_rooms_left_by_the_first_try(request: pytest.FixtureRequest) -> None:
    """Delete all rooms before a test is tried once more: a room that is there already is not dispatched again."""
    if getattr(request.node, "execution_count", 1) > 1 and "api" in request.fixturenames:
        request.getfixturevalue("api").delete_all_rooms()


@pytest.fixture(scope="session")
def callers_processes() -> Iterator[list[CallersProcess]]:
    """The processes of callers so far: another one is there only when one has ended."""
    started: list[CallersProcess] = []
    yield started
    for process in started:
        process.close()


@pytest.fixture
def callers(
    server: LocalServer, callers_processes: list[CallersProcess], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CallersProcess]:
    """A process in which there are this test's callers only."""
    if not any(process.running for process in callers_processes):
        callers_processes.append(CallersProcess(server.url, tmp_path_factory.mktemp("callers")))
    yield callers_processes[-1]
    callers_processes[-1].forget()


@pytest.fixture(scope="session")
def voice() -> Iterator[Voice]:
    """The voice in which callers speak."""
    with Voice() as speaking:
        yield speaking


@pytest.fixture(scope="session")
def recogniser() -> Iterator[Recogniser]:
    """The speech recogniser that says what agents answered."""
    with Recogniser() as running:
        yield running


@pytest.fixture
def start_worker(
    api: ServerApi, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., WorkerProcess]]:
    """Start ``openrtc start`` with options, wait until it is registered, and stop it cleanly after the test.

    Arguments by name go to `WorkerProcess`. A worker that the test has already ended is left alone.
    """
    started: list[WorkerProcess] = []

    def start(*options: str, **more: Any) -> WorkerProcess:
        worker = openrtc_worker(api, tmp_path / f"worker-{len(started)}.log", *options, **more)
        started.append(worker)
        show_log_on_failure(request.node, worker)
        return worker.wait_until_ready()

    yield start
    try:
        if any(worker.running for worker in started):
            api.delete_all_rooms()  # of who has left without having sent anything, the server tells agents 3 s later
        for worker in started:
            if worker.running:
                worker.stop()
    finally:
        for worker in started:
            worker.kill()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts processes: all end-to-end tests."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parent.parents:  # end to end, faults and operations: workers, callers and a server
            item.add_marker("process")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the workers' logs to the report of a failed test."""
    report = yield
    if report.failed:
        report.sections.extend(logs_for(item))
    return report
