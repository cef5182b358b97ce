"""`WaitingCalls`: the calls with nobody in them, which hold no slot and are the first to go."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence

from livekit.protocol import agent as proto

from openrtc.observe.events import CallAttended, CallEnded, CallWaiting, Event, WorkerDraining

logger = logging.getLogger("openrtc.worker")


class WaitingCalls:
    """A sink that knows which calls wait for somebody, or are over while their jobs still shut down.

    Calls in threads and processes of their own say so by events, too, from whichever thread that is.

    Args:
        end: Ends a job, given its id and why; called from any thread.
    """

    def __init__(self, end: Callable[[str, str], None]) -> None:
        self._end = end
        self._lock = threading.Lock()
        self._waiting: dict[str, CallWaiting] = {}
        self._going: set[str] = set()
        self._draining = False

    def __call__(self, event: Event) -> None:
        """Take note of an event; when the worker drains, end what waits, and from then on what begins to wait."""
        with self._lock:
            if isinstance(event, CallWaiting):
                self._waiting[event.job_id] = event
            elif isinstance(event, CallAttended):
                self._waiting.pop(event.job_id, None)
            elif isinstance(event, CallEnded):
                self._waiting.pop(event.job_id, None)
                self._going.add(event.job_id)
            elif isinstance(event, WorkerDraining):
                self._draining = True
            going = self._choose(self._waiting) if self._draining else []
        self._let_go(going, "the worker drains")

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def count_attended(self, jobs: Sequence[proto.Job]) -> int:
        """Return how many of the jobs hold a slot.

        Args:
            jobs: All jobs that run now.
        """
        running = {job.id for job in jobs}
        with self._lock:
            self._going &= running
            self._waiting = {job_id: event for job_id, event in self._waiting.items() if job_id in running}
            return len(running - self._going - self._waiting.keys())

    def holds_slot(self, job: proto.Job) -> bool:
        """Whether a job that runs holds a slot."""
        return job.id not in self._waiting and job.id not in self._going

    def make_room(self, jobs: Sequence[proto.Job], most: int) -> None:
        """End so many of those that wait that no more than ``most`` of the jobs are left, as far as that can be.

        Args:
            jobs: The jobs that count.
            most: How many may be left.
        """
        with self._lock:
            among = [job.id for job in jobs if job.id not in self._going]
            going = self._choose(among)[: max(0, len(among) - most)]
        self._let_go(going, "the worker is full")

    def _choose(self, among: Collection[str]) -> list[str]:
        """Return those that may be ended: first those that everybody has left, each kind by how long it has waited."""
        found = [one for job_id, one in self._waiting.items() if job_id in among and job_id not in self._going]
        first_left = sorted((one for one in found if one.may_be_ended), key=lambda one: (one.cause != "left", one.time))
        return [one.job_id for one in first_left]

    def _let_go(self, job_ids: Sequence[str], why: str) -> None:
        with self._lock:
            self._going.update(job_ids)
            waited = [self._waiting[job_id] for job_id in job_ids if job_id in self._waiting]
        for one in waited:
            fields = {"job_id": one.job_id, "room": one.room}
            logger.info("room %r: nobody is in it, and %s: its call is ended", one.room, why, extra=fields)
            self._end(one.job_id, f"nobody is there, and {why}")
