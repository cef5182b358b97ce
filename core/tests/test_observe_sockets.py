"""The sockets of a worker: its snapshot, the events of its job processes, and the folder of both."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openrtc.errors import OpenRTCError
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallStarted, Event, WorkerStopped
from openrtc.observe.forwarding import EventReceiver, EventSender
from openrtc.observe.snapshot_client import snapshots
from openrtc.observe.snapshot_server import SnapshotServer
from openrtc.observe.socket_folder import events_path, private_folder, remove_stale, snapshot_path, socket_folder


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for sockets with a short path."""
    with tempfile.TemporaryDirectory(prefix="rt") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_folder_and_the_socket_are_the_users_own(runtime: Path) -> None:
    (runtime / "openrtc").mkdir(mode=0o755)
    folder = private_folder()
    server = SnapshotServer(snapshot_path(os.getpid()), dict)
    assert (mode(folder), mode(snapshot_path(os.getpid()))) == (0o700, 0o600)
    server.close()
    assert not list(folder.iterdir())


def test_without_a_runtime_folder_it_stands_in_the_temporary_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nowhere"))
    assert socket_folder() == Path(tempfile.gettempdir()) / f"openrtc-{os.getuid()}"


def test_a_link_in_the_place_of_the_folder_is_refused(runtime: Path, tmp_path: Path) -> None:
    (runtime / "openrtc").symlink_to(tmp_path)
    with pytest.raises(OpenRTCError, match="is not a folder of this user"):
        private_folder()


def test_each_request_gets_the_snapshot_of_that_moment() -> None:
    private_folder()
    asked: list[int] = []

    def snapshot() -> dict[str, Any]:
        asked.append(1)
        return {"pid": os.getpid(), "asked": len(asked), "room": "x" * 300_000}

    server = SnapshotServer(snapshot_path(os.getpid()), snapshot)
    assert [snapshots()[0]["asked"] for _ in range(3)] == [1, 2, 3]
    server.close()
    assert snapshots() == []


def test_a_snapshot_that_fails_does_not_end_the_server(caplog: pytest.LogCaptureFixture) -> None:
    private_folder()
    answers: list[dict[str, Any]] = [{"pid": 1}]
    server = SnapshotServer(snapshot_path(os.getpid()), answers.pop)
    assert snapshots() == [{"pid": 1}]
    assert snapshots() == [{"pid": os.getpid(), "state": "does not answer", "calls": []}]
    server.close()
    assert "openrtc top gets no answer: IndexError" in caplog.text


def test_a_client_that_does_not_read_does_not_hold_the_others_up_for_long() -> None:
    private_folder()
    server = SnapshotServer(snapshot_path(os.getpid()), lambda: {"pid": 1, "long": "x" * 3_000_000})
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(snapshot_path(os.getpid())))
        began = time.monotonic()
        until = began + 10
        while not any("long" in answer for answer in snapshots()) and time.monotonic() < until:
            time.sleep(0.1)
        assert time.monotonic() < until
    server.close()


def leave_sockets() -> None:
    code = (
        "import os; from openrtc.observe.socket_folder import *; from openrtc.observe.snapshot_server import *;"
        "private_folder(); SnapshotServer(snapshot_path(os.getpid()), dict);"
        "bind_private(events_path(os.getpid()), socket.SOCK_DGRAM); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", f"import socket; {code}"], check=True)


def test_what_a_dead_worker_left_is_removed_and_a_living_ones_is_kept() -> None:
    leave_sockets()
    folder = private_folder()
    assert len(list(folder.iterdir())) == 2
    server = SnapshotServer(snapshot_path(os.getpid()), dict)
    remove_stale(folder)
    assert list(folder.iterdir()) == [snapshot_path(os.getpid())]
    server.close()


def test_looking_at_the_workers_removes_what_a_dead_one_left() -> None:
    leave_sockets()
    assert snapshots() == []
    assert not list(private_folder().glob("*.sock"))


def test_an_event_reaches_the_worker_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    private_folder()
    events, seen = EventStream(), list[Event]()
    events.subscribe(seen.append)
    receiver = EventReceiver(events_path(os.getpid()), events)
    sender = EventSender(events_path(os.getpid()))
    sent = [CallStarted(job_id="AJ_1", room="r ☎", setup_seconds=0.5), WorkerStopped(served=2)]
    for event in sent:
        sender(event)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        for nonsense in (b"nonsense", b"[]", json.dumps({"event": "call_lost"}).encode()):
            other.sendto(nonsense, str(events_path(os.getpid())))
    receiver.receive()
    receiver.close()
    assert seen == sent
    assert caplog.text.count("a job process sent what is no event") == 3
    sender(sent[0])
    assert "the event call_started did not reach the worker" in caplog.text
