"""Commands say what the workers on this machine have not loaded as it is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openrtc.discovery.loaded_distributions import Drift
from openrtc.dispatch.local_drift import describe_local_drift
from openrtc.observe.snapshots import SnapshotServer
from openrtc.observe.sockets import make_private_folder, snapshot_path

DRIFT = [
    Drift(distribution="desk", what="upgraded", loaded_version="1.0", installed_version="1.1", agents=("desk",)),
    Drift(distribution="sales", what="installed", installed_version="2.0", agents=("sales", "night")),
]


@pytest.fixture
def worker(runtime_folder: Path) -> Iterator[dict[str, object]]:
    """The snapshot of a worker, which answers with it."""
    snapshot = {"pid": 4711, "environment": sys.prefix, "drift": [drift.to_json() for drift in DRIFT]}
    make_private_folder()
    server = SnapshotServer(snapshot_path(os.getpid()), lambda: snapshot)
    yield snapshot
    server.close()


def test_each_package_is_named_with_the_workers_that_lack_it(worker: dict[str, object]) -> None:
    desk = "desk 1.1 was installed after this worker started with 1.0: restart the worker with pid 4711"
    sales = "sales 2.0 was installed after this worker started: restart the worker with pid 4711"
    assert describe_local_drift() == [desk, sales]
    assert describe_local_drift(["night"]) == [sales]
    assert describe_local_drift(["other"], ["desk"]) == [desk]
    assert describe_local_drift([]) == []


def test_nothing_is_said_of_other_environments_and_where_no_worker_tells(worker: dict[str, object]) -> None:
    worker["environment"] = "/elsewhere"
    assert describe_local_drift() == []
    worker.clear()  # one that has been started by an earlier release
    assert describe_local_drift() == []


def test_nothing_is_said_where_no_worker_runs(runtime_folder: Path) -> None:
    assert describe_local_drift() == []
