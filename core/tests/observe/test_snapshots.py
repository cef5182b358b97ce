from __future__ import annotations

import os
import socket
import time
from typing import Any

import pytest

from openrtc.observe.snapshots import SnapshotServer, read_snapshots
from openrtc.observe.sockets import make_private_folder, snapshot_path

pytestmark = pytest.mark.usefixtures("runtime_folder")


def test_each_request_gets_the_snapshot_of_that_moment() -> None:
    make_private_folder()
    asked: list[int] = []

    def snapshot() -> dict[str, Any]:
        asked.append(1)
        return {"pid": os.getpid(), "asked": len(asked), "room": "x" * 300_000}

    server = SnapshotServer(snapshot_path(os.getpid()), snapshot)
    assert [read_snapshots()[0]["asked"] for _ in range(3)] == [1, 2, 3]
    server.close()
    assert read_snapshots() == []


def test_a_snapshot_that_fails_does_not_end_the_server(caplog: pytest.LogCaptureFixture) -> None:
    make_private_folder()
    answers: list[dict[str, Any]] = [{"pid": 1}]
    server = SnapshotServer(snapshot_path(os.getpid()), answers.pop)
    assert read_snapshots() == [{"pid": 1}]
    assert read_snapshots() == [{"pid": os.getpid(), "state": "does not answer", "calls": []}]
    server.close()
    assert "openrtc top gets no answer: IndexError" in caplog.text


def test_a_client_that_does_not_read_does_not_hold_the_others_up_for_long() -> None:
    make_private_folder()
    server = SnapshotServer(snapshot_path(os.getpid()), lambda: {"pid": 1, "long": "x" * 3_000_000})
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(snapshot_path(os.getpid())))
        began = time.monotonic()
        until = began + 10
        while not any("long" in answer for answer in read_snapshots()) and time.monotonic() < until:
            time.sleep(0.1)
        assert time.monotonic() < until
    server.close()
