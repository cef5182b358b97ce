"""Sockets of one user's workers, in a folder that nobody else can enter.

In a temporary folder that all share, somebody else may have put a folder, a link or files there first: whoever reads
looks at whose the folder and the sockets are as well, and nothing but the user's own sockets is ever removed.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path

from openrtc.errors import OpenRTCError
from openrtc.posix import find_temporary_folder, has_user_ids, is_own, name_user_folder, open_unix_socket


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
        if why := _why_not_own(folder):
            raise OpenRTCError(f"{folder} {why}", fix="set XDG_RUNTIME_DIR to a private folder")
        folder.chmod(0o700)
    except OSError as error:
        raise OpenRTCError(f"{folder} cannot be used: {error.strerror}", fix="set XDG_RUNTIME_DIR") from error
    return folder


def why_not_private() -> str | None:
    """Return why the sockets in the folder may be somebody else's; None where they are this user's, or there are none.

    A line that names the folder.
    """
    folder = socket_folder()
    try:
        why = _why_not_own(folder)
        if why is None and has_user_ids() and folder.lstat().st_mode & 0o077:
            why = "can be entered by others"
    except FileNotFoundError:
        return None
    except OSError as error:
        why = f"cannot be looked at: {error.strerror}"
    return why and f"{folder} {why}: no worker is asked"


def _why_not_own(folder: Path) -> str | None:
    found = folder.lstat()
    return None if stat.S_ISDIR(found.st_mode) and is_own(found) else "is not a folder of this user"


def list_sockets(pattern: str) -> list[Path]:
    """Return the user's own sockets in the folder whose names match; none where the folder may be somebody else's.

    Args:
        pattern: Of names, as ``*.sock``.
    """
    return [] if why_not_private() else [path for path in socket_folder().glob(pattern) if _is_own_socket(path)]


def remove_socket(path: Path) -> None:
    """Remove a socket of the user; whatever else stands there is left alone."""
    if _is_own_socket(path):
        path.unlink(missing_ok=True)


def _is_own_socket(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:  # it is gone
        return False
    return stat.S_ISSOCK(found.st_mode) and is_own(found)


def receive_all(connection: socket.socket, seconds: float, most: int) -> bytes:
    """Return what comes until the other side closes its half of a connection.

    Args:
        connection: The connection.
        seconds: How long all of it may take.
        most: How many bytes it may be.

    Raises:
        TimeoutError: It took longer.
        ValueError: It is more.
        OSError: The connection broke.
    """
    until, received = time.monotonic() + seconds, 0
    parts: list[bytes] = []
    while True:
        connection.settimeout(max(until - time.monotonic(), 0.001))
        part = connection.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)
        received += len(part)
        if received > most:
            raise ValueError(f"more than {most:,} bytes")
        if time.monotonic() > until:
            raise TimeoutError(f"it took longer than {seconds:g} s")


def snapshot_path(pid: int) -> Path:
    """Return the socket on which a worker answers with its snapshot."""
    return socket_folder() / f"{pid}.sock"


def events_path(pid: int) -> Path:
    """Return the socket on which a worker receives the events of its job processes."""
    return socket_folder() / f"{pid}.events"


def bind_private(path: Path, kind: int) -> socket.socket:
    """Return a socket that is bound to ``path`` and that only this user may connect to.

    Args:
        path: Where; the socket that a dead process with the same id left there is replaced.
        kind: ``socket.SOCK_STREAM`` or ``socket.SOCK_DGRAM``.

    Raises:
        OSError: It cannot be bound.
    """
    remove_socket(path)
    bound = open_unix_socket(kind)
    try:
        bound.bind(str(path))
        os.chmod(path, 0o600)
    except OSError:
        bound.close()
        raise
    return bound


def remove_stale() -> None:
    """Remove the sockets of workers that are gone."""
    for path in [*list_sockets("*.sock"), *list_sockets("*.events")]:
        if is_stale(path):
            remove_socket(path)


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
