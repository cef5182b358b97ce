"""What is installed otherwise than the workers on this machine have loaded it, for commands that go by what is here."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from openrtc.discovery.loaded_distributions import Drift
from openrtc.posix import SHARED_MEMORY, name_user_folder

DRIFT_ANSWER_SECONDS = 0.2
"""How long a worker may take to say what it has loaded: one that is blocked holds up no command."""


def describe_local_drift(agents: Collection[str] | None = None, distributions: Collection[str] = ()) -> list[str]:
    """Return a line for each package that workers of this user and environment have not loaded as it is installed.

    Where none runs, that takes a look into a few folders.

    Args:
        agents: Only packages whose entry points name one of these, by default all.
        distributions: Also these packages.
    """
    if not _is_any_socket_here():
        return []
    from openrtc.observe.snapshots import read_snapshots

    found = _group(read_snapshots(tidy=False, seconds=DRIFT_ANSWER_SECONDS))
    return [
        f"{drift.tell_since_start()}: restart the worker{'s'[: len(pids) - 1]} with pid {', '.join(map(str, pids))}"
        for drift, pids in found.items()
        if agents is None or not {*agents}.isdisjoint(drift.agents) or drift.distribution in distributions
    ]


def find_late_agent(worker: Mapping[str, Any], agent: str) -> str:
    """Return why a worker does not have an agent as it is installed, in half a line; empty where it has.

    Args:
        worker: Its snapshot.
        agent: The agent's name.
    """
    found = (drift.tell_since_start() for drift in read_drift(worker) if agent in drift.agents)
    return next(found, "")


def read_drift(worker: Mapping[str, Any]) -> list[Drift]:
    """Return what a worker's snapshot says is installed otherwise than it has loaded it."""
    return [Drift.from_json(one) for one in worker.get("drift", ())]


def _is_any_socket_here() -> bool:
    """Whether a worker's socket may be where they are; without `tempfile`, whose import takes longer than the rest."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.path.isdir(runtime):
        folders = [os.path.join(runtime, "openrtc")]
    else:
        places = (*map(os.environ.get, ("TMPDIR", "TEMP", "TMP")), "/tmp", "/var/tmp", "/usr/tmp", SHARED_MEMORY, ".")
        folders = [os.path.join(place, name_user_folder()) for place in places if place]
    for folder in folders:
        with suppress(OSError):
            if any(name.endswith(".sock") for name in os.listdir(folder)):
                return True
    return False


def _group(workers: Iterable[Mapping[str, Any]]) -> dict[Drift, list[int]]:
    found: dict[Drift, list[int]] = {}
    for worker in workers:
        # One that does not answer, or is of an earlier release, does not say what it has loaded.
        for drift in read_drift(worker) if worker.get("environment") == sys.prefix else ():
            found.setdefault(drift, []).append(worker["pid"])
    return found
