"""Workers' logs in the reports of failed tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.worker import WorkerProcess

_WORKERS = pytest.StashKey[list[WorkerProcess]]()


def show_log_on_failure(node: Any, worker: WorkerProcess) -> None:
    """Append the end of a worker's log to the report of a test, or of every test of a module, that fails.

    Args:
        node: The ``request.node`` of the fixture that has started the worker.
        worker: The worker.
    """
    node.stash.setdefault(_WORKERS, []).append(worker)


def logs_for(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """Return a title and the last lines of the log of each worker that ``item`` may have talked to."""
    for node in item.listchain():
        for worker in node.stash.get(_WORKERS, []):
            yield f"end of {worker.log_path.name}", worker.tail()
