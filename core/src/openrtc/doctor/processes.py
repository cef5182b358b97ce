"""Processes of this machine, as far as Linux tells of them in ``/proc``; elsewhere there are none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from openrtc.child_environment import PROCESS_ROLE
from openrtc.server.settings import DEV_API_SECRET

PROC = Path("/proc")
_LISTENS = "0A"
"""The state of a socket that listens, in ``/proc/net/tcp``."""
_OF_MULTIPROCESSING = "from multiprocessing."
"""What stands in the command line of a process that `multiprocessing` has started."""


class Process(NamedTuple):
    """A process.

    Args:
        pid: Its id.
        parent: Its parent's id.
        command: Its command line.
        is_part: Whether it is a part of a worker or supervisor, or a LiveKit server that one has started for itself.
    """

    pid: int
    parent: int
    command: Sequence[str]
    is_part: bool = False

    @property
    def title(self) -> str:
        """Its command in a word or two; never its arguments, which may hold secrets."""
        names = [os.path.basename(word) for word in self.command[:2] if not word.startswith("-")]
        return " ".join(names) or "a program"


def list_processes() -> Iterator[Process]:
    """Yield all processes that can be looked at."""
    with suppress(OSError):
        for entry in PROC.iterdir():
            if entry.name.isdigit() and (found := _read(entry)):
                yield found


def find_orphans(processes: Sequence[Process]) -> list[Process]:
    """Return the parts of workers and supervisors that are gone: their parent is no Python program.

    Args:
        processes: All processes.
    """
    by_pid = {one.pid: one for one in processes}
    return [one for one in processes if one.is_part and not _is_python(by_pid.get(one.parent))]


def find_listener(port: int) -> Process | None:
    """Return the process that listens on a TCP port; None where nobody tells, as of another user's.

    Args:
        port: The port.
    """
    inodes = {inode for name in ("tcp", "tcp6") for inode in _list_listening(PROC / "net" / name, port)}
    if not inodes:
        return None
    names = {f"socket:[{inode}]" for inode in inodes}
    return next((one for one in list_processes() if names & set(_list_open(PROC / str(one.pid)))), None)


def _list_listening(table: Path, port: int) -> Iterator[str]:
    with suppress(OSError):
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _list_open(folder: Path) -> Iterator[str]:
    with suppress(OSError):
        for entry in (folder / "fd").iterdir():
            with suppress(OSError):
                yield os.readlink(entry)


def _read(folder: Path) -> Process | None:
    try:
        command = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        status = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:  # it has ended
        return None
    if status[0] == "Z":
        return None
    return Process(int(folder.name), int(status[1]), command, _is_part(folder, command))


def _is_part(folder: Path, command: Sequence[str]) -> bool:
    program = os.path.basename(command[0])
    if any(_OF_MULTIPROCESSING in word for word in command[1:]):
        return command[0].startswith(sys.prefix + os.sep)
    if not (program.startswith(("python", "livekit-server"))):
        return False
    environ = _read_environment(folder)
    if program.startswith("livekit-server"):
        return DEV_API_SECRET in environ.get("LIVEKIT_CONFIG", "")
    return PROCESS_ROLE in environ


def _read_environment(folder: Path) -> Mapping[str, str]:
    try:
        text = (folder / "environ").read_bytes().decode(errors="replace")
    except OSError:  # another user's
        return {}
    return dict(line.partition("=")[::2] for line in text.split("\0") if line)


def _is_python(one: Process | None) -> bool:
    return one is not None and any("python" in os.path.basename(word) for word in one.command[:1])
