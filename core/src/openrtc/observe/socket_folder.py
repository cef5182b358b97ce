"""Where the workers of one user have their sockets: a folder that nobody else can enter."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path

from openrtc.errors import OpenRTCError


def socket_folder() -> Path:
    """Return the folder; it may not be there yet."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK):
        return Path(runtime) / "openrtc"
    return Path(tempfile.gettempdir()) / f"openrtc-{os.getuid()}"


def private_folder() -> Path:
    """Return the folder, made if need be, with mode 0700.

    Raises:
        OpenRTCError: It cannot be made, or is not this user's own.
    """
    folder = socket_folder()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise OpenRTCError(f"{folder} is not a folder of this user", fix="set XDG_RUNTIME_DIR to a private folder")
        folder.chmod(0o700)
    except OSError as error:
        raise OpenRTCError(f"{folder} cannot be used: {error.strerror}", fix="set XDG_RUNTIME_DIR") from error
    return folder


def snapshot_path(pid: int) -> Path:
    """Return the socket on which a worker answers with its snapshot."""
    return socket_folder() / f"{pid}.sock"


def events_path(pid: int) -> Path:
    """Return the socket on which a worker takes the events of its job processes."""
    return socket_folder() / f"{pid}.events"


def remove_stale(folder: Path) -> None:
    """Remove the sockets of workers that are gone."""
    for path in [*folder.glob("*.sock"), *folder.glob("*.events")]:
        if is_stale(path):
            path.unlink(missing_ok=True)


def is_stale(path: Path) -> bool:
    """Whether nobody listens on a socket any more."""
    kind = socket.SOCK_DGRAM if path.suffix == ".events" else socket.SOCK_STREAM
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
