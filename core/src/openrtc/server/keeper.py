"""`Keeper`: ends the server when its owner dies without having stopped it, even by SIGKILL."""

from __future__ import annotations

import os
import subprocess

# `read` fails when the pipe closes without a line, which the system does when the owner dies. The second SIGTERM tells
# the server not to wait for its participants.
_SCRIPT = """
read -r line && exit
{ kill -TERM "$1"; sleep 0.3; kill -TERM "$1"; sleep 2; kill -KILL "$1"; } 2>/dev/null
"""


class Keeper:
    """A shell that waits for the end of this process and then ends another one.

    Args:
        pid: The process to end.
    """

    def __init__(self, pid: int) -> None:
        self._shell = _start_shell(pid) if os.name == "posix" else None

    def release(self) -> None:
        """Leave the other process alone from now on; may be called again."""
        if self._shell:
            self._shell.communicate(b"let go\n")
        self._shell = None


def _start_shell(pid: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", _SCRIPT, "openrtc-keeper", str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,  # Ctrl-C in the terminal must not end it before the server
    )
