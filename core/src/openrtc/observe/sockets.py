"""Sockets of one user's workers, in a folder that nobody else can enter."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from openrtc.errors import OpenRTCError
from openrtc.posix import find_temporary_folder, is_own, name_user_folder, open_unix_socket


def socket_folder() -> Path:
    """Return the folder; it may not be there yet, or never where nothing can be written."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK):
        return Path(runtime) / "openrtc"
    try:
        folder = find_temporary_folder()
    except FileNotFoundError:
        folder = "/tmp"
    return Path(folder) / name_user_folder()


def make_private_folder() -> Path:
    """Create the folder with mode 0700 where it is missing, and return it.

    Raises:
        OpenRTCError: It cannot be created, or belongs to somebody else.
    """
    folder = socket_folder()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # In a temporary folder that all share, somebody else may have put a folder or a link there first.
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or not is_own(found):
            raise OpenRTCError(f"{folder} is not a folder of this user", fix="set XDG_RUNTIME_DIR to a private folder")
        folder.chmod(0o700)
    except OSError as error:
        raise OpenRTCError(f"{folder} cannot be used: {error.strerror}", fix="set XDG_RUNTIME_DIR") from error
    return folder


def snapshot_path(pid: int) -> Path:
    """Return the socket on which a worker answers with its snapshot."""
    return socket_folder() / f"{pid}.sock"


def events_path(pid: int) -> Path:
    """Return the socket on which a worker receives the events of its job processes."""
    return socket_folder() / f"{pid}.events"


def bind_private(path: Path, kind: int) -> socket.socket:
    """Return a socket that is bound to ``path`` and that only this user may connect to.

    Args:
        path: Where; what a dead process with the same id left there is replaced.
        kind: ``socket.SOCK_STREAM`` or ``socket.SOCK_DGRAM``.

    Raises:
        OSError: It cannot be bound.
    """
    path.unlink(missing_ok=True)
    bound = open_unix_socket(kind)
    try:
        bound.bind(str(path))
        os.chmod(path, 0o600)
    except OSError:
        bound.close()
        raise
    return bound


def remove_stale(folder: Path) -> None:
    """Remove the sockets of workers that are gone."""
    for path in [*folder.glob("*.sock"), *folder.glob("*.events")]:
        if is_stale(path):
            path.unlink(missing_ok=True)


def is_stale(path: Path) -> bool:
    """Whether nobody listens on a socket any more."""
    kind = socket.SOCK_DGRAM if path.suffix == ".events" else socket.SOCK_STREAM
    with open_unix_socket(kind) as probe:
        probe.settimeout(1.0)  # a worker whose queue of connections is full would let us wait
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
