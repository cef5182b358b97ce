"""Which part a process of ``openrtc start --processes`` plays: the supervisor starts the same command line again."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

VARIABLE = "OPENRTC_PART"
"""Tells a started process its part. Taken out of the environment at once, so that nothing else inherits it."""

NURSERY, SPAWNER, WORKER = "nursery", "spawner", "worker"


@dataclass(frozen=True, slots=True)
class Part:
    """What a process is there for.

    Args:
        name: `NURSERY` (loads everything, then forks workers), `SPAWNER` (starts each worker separately) or `WORKER`.
        descriptor: Its socket to whoever started it.
        number: The worker's number.
    """

    name: str
    descriptor: int
    number: int = 0

    def put_into(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return a copy of ``environ`` for the process that plays this part."""
        return {**environ, VARIABLE: f"{self.name}:{self.descriptor}:{self.number}"}


def take_part(environ: MutableMapping[str, str]) -> Part | None:
    """Return the part of this process and forget it; None when a person has started it."""
    text = environ.pop(VARIABLE, "")
    if not text:
        return None
    name, descriptor, number = text.split(":")
    os.set_inheritable(int(descriptor), False)
    return Part(name, int(descriptor), int(number))


def same_command() -> list[str]:
    """Return the command line of this process, for another one that does the same."""
    return [sys.executable, *sys.orig_argv[1:]]
