"""Which role a process of ``openrtc start --processes`` has: the supervisor starts the same command line again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass, field

from openrtc.child_environment import PROCESS_ROLE
from openrtc.worker.control_channel import Place
from openrtc.worker.offer import Offer

FORK_SERVER, SPAWNER, WORKER = "fork-server", "spawner", "worker"

Doors = tuple[tuple[int, ...], ...]
"""For the health port of each worker the descriptors of the sockets that listen there; nothing where none do."""


@dataclass(frozen=True, slots=True)
class ProcessRole:
    """What a process is there for.

    Args:
        name: `FORK_SERVER` (loads everything, then forks workers), `SPAWNER` (starts each worker separately) or
            `WORKER`.
        descriptor: Its socket to whoever started it.
        place: What a worker is given.
        doors: The health ports of all workers, for one that starts workers.
        trial: Whether others run on until it is seen whether it can start any.
    """

    name: str
    descriptor: int
    place: Place = field(default_factory=Place)
    doors: Doors = ()
    trial: bool = False

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Everything that the process inherits."""
        return (self.descriptor, *self.place.doors, *(one for door in self.doors for one in door))

    def put_into(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return a copy of ``environ`` for the process that gets this role."""
        return {**environ, PROCESS_ROLE: json.dumps(asdict(self))}

    def let_inherit(self, inherits: bool = True) -> None:
        """Let a process that is started now inherit what this role needs, or not any more."""
        for descriptor in self.descriptors:
            os.set_inheritable(descriptor, inherits)


def take_role(environ: MutableMapping[str, str]) -> ProcessRole | None:
    """Return the role of this process and forget it; None when a person has started it."""
    text = environ.pop(PROCESS_ROLE, "")
    if not text:
        return None
    given = json.loads(text)
    place = {**given["place"], "doors": tuple(given["place"]["doors"]), "keep": Offer(**given["place"]["keep"])}
    doors = tuple(map(tuple, given["doors"]))
    role = ProcessRole(given["name"], given["descriptor"], Place(**place), doors, given["trial"])
    role.let_inherit(False)  # a package's subprocess would hold the sockets open
    return role


def repeat_command() -> list[str]:
    """Return the command line of this process, for another one that does the same."""
    return [sys.executable, *sys.orig_argv[1:]]
