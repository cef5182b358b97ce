"""`BystanderCalls`: callers of one server, who know which of several workers answered them."""

from __future__ import annotations

import itertools
import time

from e2e.callers import Caller, CallersProcess
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess
from faults.silence import silence_between

ALLOWED = 2.0
"""Seconds of silence that a machine which starts further workers may cause."""


class BystanderCalls:
    """Callers of one server, who know which worker answered them."""

    def __init__(self, server: ServerApi, people: CallersProcess) -> None:
        self._server = server
        self._people = people
        self._numbers = itertools.count(1)

    def call(self, *workers: WorkerProcess) -> tuple[Caller, str, WorkerProcess]:
        """Call and wait for the agent's voice; return the caller, the room, and the worker that answered."""
        room = f"bystander-{next(self._numbers)}"
        caller = self._people.join(room, self._server.token(room, "ann"), speaks=False)
        caller.wait_for("track_subscribed")
        answered = [worker for worker in workers if worker.records(f"^room '{room}': bystander")]
        assert answered, "somebody answered"
        return caller, room, answered[-1]


def hole_since(caller: Caller, start: float) -> float:
    """Return the longest silence that a caller has heard since a time."""
    return silence_between(caller.recordings(), start, time.time() - 0.3)
