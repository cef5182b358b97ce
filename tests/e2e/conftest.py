"""Fixtures of the tests of casts: the worker that they share, and rooms with a cast and a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.agent_packages import APART, CAST_AGENTS
from e2e.callers import CallersProcess
from e2e.cast_room import CastRoom, NewCastRoom
from e2e.packages import Package
from e2e.reporting import show_log_on_failure
from e2e.server_api import ServerApi
from e2e.worker import TRACEBACK, WorkerProcess, openrtc_worker


@pytest.fixture(scope="module")
def cast_packages() -> list[Package]:
    """What `cast_worker` allows."""
    return [CAST_AGENTS]


@pytest.fixture(scope="module")
def cast_worker(
    api: ServerApi,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    cast_packages: list[Package],
) -> Iterator[WorkerProcess]:
    """A worker with the casts of `e2e.cast_agents`; it takes every call, so it ends before other tests begin."""
    folder = tmp_path_factory.mktemp("casts")
    installed = [package.install_into(folder / package.name) for package in cast_packages]
    options = ["--allow", ",".join(package.name for package in cast_packages)]
    options += ["--metrics-jsonl", str(folder / "events.jsonl"), "--words", "full"]
    more: dict[str, Any] = {"folders": installed, "isolates": APART in cast_packages}
    with openrtc_worker(api, folder / "worker.log", *options, **more) as running:
        show_log_on_failure(request.node, running)
        yield running.wait_until_ready()
        running.stop()
        assert TRACEBACK not in running.log()


@pytest.fixture
def cast_room(api: ServerApi, callers: CallersProcess, cast_worker: WorkerProcess) -> Iterator[NewCastRoom]:
    """Make a room whose name begins with the cast that it gets, with a person in it."""
    rooms: list[CastRoom] = []

    def make(room: str, *, speaks: bool = True) -> CastRoom:
        rooms.append(CastRoom(api, callers, f"{room}-{time.monotonic_ns() % 10**9}", speaks=speaks))
        return rooms[-1]

    yield make
    for one in rooms:
        one.close()
