"""The folder of a worker's sockets."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from openrtc.errors import OpenRTCError
from openrtc.observe.snapshots import SnapshotServer, read_snapshots, send_order
from openrtc.observe.sockets import make_private_folder, receive_all, remove_stale, snapshot_path, socket_folder

pytestmark = pytest.mark.usefixtures("runtime_folder")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_folder_and_the_socket_are_the_users_own(runtime_folder: Path) -> None:
    (runtime_folder / "openrtc").mkdir(mode=0o755)
    folder = make_private_folder()
    server = SnapshotServer(snapshot_path(os.getpid()), dict)
    assert (mode(folder), mode(snapshot_path(os.getpid()))) == (0o700, 0o600)
    server.close()
    assert not list(folder.iterdir())


def test_without_a_runtime_folder_it_stands_in_the_temporary_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nowhere"))
    assert socket_folder() == Path(tempfile.gettempdir()) / f"openrtc-{os.getuid()}"


def test_a_link_in_the_place_of_the_folder_is_refused(runtime_folder: Path, tmp_path: Path) -> None:
    (runtime_folder / "openrtc").symlink_to(tmp_path)
    with pytest.raises(OpenRTCError, match="is not a folder of this user"):
        make_private_folder()


def test_a_folder_that_others_may_have_made_or_can_enter_is_not_read(
    runtime_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = SnapshotServer(make_private_folder() / "4711.sock", dict)
    assert read_snapshots() == [{}]
    socket_folder().chmod(0o755)
    assert read_snapshots() == []
    assert caplog.messages == [f"{socket_folder()} can be entered by others: no worker is asked"]
    assert send_order(4711, {"order": "drain"}) == {"refused": f"it does not answer: {caplog.messages[0]}"}
    socket_folder().chmod(0o700)
    socket_folder().rename(tmp_path / "elsewhere")
    socket_folder().symlink_to(tmp_path / "elsewhere")
    assert read_snapshots() == []
    assert "is not a folder of this user" in caplog.messages[-1]
    socket_folder().unlink()
    (tmp_path / "elsewhere").rename(socket_folder())
    server.close()


def test_no_file_that_is_no_socket_is_asked_or_removed() -> None:
    plain = make_private_folder() / "4711.sock"
    plain.write_text("mine")
    assert read_snapshots() == []
    remove_stale()
    with pytest.raises(OSError, match="in use"):
        SnapshotServer(plain, dict)
    assert plain.read_text() == "mine"
    assert "4711.sock is no socket of this user" in send_order(4711, {"order": "drain"})["refused"]


def test_who_sends_without_end_or_too_slowly_is_left_after_a_while() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x" * 100)
        with pytest.raises(ValueError, match="more than 50 bytes"):
            receive_all(ours, 5.0, 50)
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.02):
                theirs.send(b"y")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            with pytest.raises(TimeoutError):
                receive_all(ours, 0.2, 10_000)
        finally:
            stop.set()
            dripping.join()


def leave_sockets() -> None:
    code = (
        "import os; from openrtc.observe.sockets import *; from openrtc.observe.snapshots import *;"
        "make_private_folder(); SnapshotServer(snapshot_path(os.getpid()), dict);"
        "bind_private(events_path(os.getpid()), socket.SOCK_DGRAM); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", f"import socket; {code}"], check=True)


@pytest.mark.process
def test_what_a_dead_worker_left_is_removed_and_a_living_ones_is_kept() -> None:
    leave_sockets()
    folder = make_private_folder()
    assert len(list(folder.iterdir())) == 2
    server = SnapshotServer(snapshot_path(os.getpid()), dict)
    remove_stale()
    assert list(folder.iterdir()) == [snapshot_path(os.getpid())]
    server.close()


@pytest.mark.process
def test_looking_at_the_workers_removes_what_a_dead_one_left() -> None:
    leave_sockets()
    assert read_snapshots() == []
    assert not list(make_private_folder().glob("*.sock"))
