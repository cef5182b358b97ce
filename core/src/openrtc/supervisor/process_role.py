"""Which role a process of ``openrtc start --processes`` has: the supervisor starts the same command line again."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from openrtc.child_environment import PROCESS_ROLE

FORK_SERVER, SPAWNER, WORKER = "fork-server", "spawner", "worker"


@dataclass(frozen=True, slots=True)
class ProcessRole:
    """What a process is there for.

    Args:
        name: `FORK_SERVER` (loads everything, then forks workers), `SPAWNER` (starts each worker separately) or
            `WORKER`.
        descriptor: Its socket to whoever started it.
        number: The worker's number.
    """

    name: str
    descriptor: int
    number: int = 0

    def put_into(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return a copy of ``environ`` for the process that gets this role."""
        return {**environ, PROCESS_ROLE: f"{self.name}:{self.descriptor}:{self.number}"}


def take_role(environ: MutableMapping[str, str]) -> ProcessRole | None:
    """Return the role of this process and forget it; None when a person has started it."""
    text = environ.pop(PROCESS_ROLE, "")
    if not text:
        return None
    name, descriptor, number = text.split(":")
    os.set_inheritable(int(descriptor), False)  # a package's subprocess would hold the socket open
    return ProcessRole(name, int(descriptor), int(number))


def repeat_command() -> list[str]:
    """Return the command line of this process, for another one that does the same."""
    return [sys.executable, *sys.orig_argv[1:]]
