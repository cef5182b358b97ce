"""The folder of a worker's sockets."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from openrtc.errors import OpenRTCError
from openrtc.observe.snapshots import SnapshotServer, read_snapshots
from openrtc.observe.sockets import make_private_folder, remove_stale, snapshot_path, socket_folder

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
    remove_stale(folder)
    assert list(folder.iterdir()) == [snapshot_path(os.getpid())]
    server.close()


@pytest.mark.process
def test_looking_at_the_workers_removes_what_a_dead_one_left() -> None:
    leave_sockets()
    assert read_snapshots() == []
    assert not list(make_private_folder().glob("*.sock"))
