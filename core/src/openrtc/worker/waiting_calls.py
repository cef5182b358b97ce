"""`WaitingCalls`: the calls with nobody in them, which hold no slot and are the first to go."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Collection, Sequence

from livekit.protocol import agent as proto

from openrtc.observe.events import CallAttended, CallEnded, CallWaiting, Event, WorkerDraining
from openrtc.worker.empty_rooms import UNKNOWN_SECONDS

Spare = Callable[[], None]

_FIRST = ("closed", "left", "nobody_yet")
"""Which calls go first, by why they wait."""


class WaitingCalls:
    """A sink that knows which calls wait for somebody, or are over while their jobs still shut down.

    Calls in threads and processes of their own say so by events, too, from whichever thread that is.

    Args:
        end: Ends a job, given its id, its room and why; it calls the last argument instead where somebody has just
            come. Called from any thread.
        end_served: Ends a job that serves nobody any more, given its id and why. Called from any thread.
    """

    def __init__(
        self, end: Callable[[str, str, str, Spare], None], end_served: Callable[[str, str], None] | None = None
    ) -> None:
        self._end = end
        self._end_served = end_served
        self._lock = threading.Lock()
        self._waiting: dict[str, CallWaiting] = {}
        self._going: set[str] = set()
        self._spared: dict[str, float] = {}
        """When somebody had just come to a call, of whom its agent does not know yet."""
        self._draining = False

    def __call__(self, event: Event) -> None:
        """Take note of an event; when the worker drains, end what waits, and from then on what begins to wait."""
        with self._lock:
            if isinstance(event, CallWaiting):
                self._waiting[event.job_id] = event
            elif isinstance(event, CallAttended):
                self._waiting.pop(event.job_id, None)
                self._going.discard(event.job_id)  # the server is still asked who is in its room
            elif isinstance(event, CallEnded):
                self._waiting.pop(event.job_id, None)
                self._going.add(event.job_id)
            elif isinstance(event, WorkerDraining):
                self._draining = True
        self.end_if_draining()

    def end_if_draining(self) -> None:
        """End what waits, where the worker drains."""
        if self._draining:
            with self._lock:
                among = set(self._waiting)
                going = self._take(among)
            self._let_go(going, "the worker drains", among)

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
            self._spared = {job_id: at for job_id, at in self._spared.items() if job_id in running}
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
            among = {job.id for job in jobs if job.id not in self._going}
            going = self._take(among, len(among) - most)
        self._let_go(going, "the worker is full", among)

    def _take(self, among: Collection[str], count: int | None = None) -> list[CallWaiting]:
        """Return those that may be ended, and count them as going.

        First those whose sessions have closed, then those that everybody has left, each kind by how long it has waited.
        """
        gone, late = self._going, time.monotonic() - UNKNOWN_SECONDS
        found = [one for job_id, one in self._waiting.items() if job_id in among and job_id not in gone]
        found = [one for one in found if one.may_be_ended and self._spared.get(one.job_id, late) <= late]
        going = sorted(found, key=lambda one: (_FIRST.index(one.cause), one.time))[
            : None if count is None else max(0, count)
        ]
        self._going.update(one.job_id for one in going)
        return going

    def _let_go(self, going: Sequence[CallWaiting], why: str, among: Collection[str]) -> None:
        for one in going:
            if one.cause == "closed" and self._end_served:
                self._end_served(one.job_id, f"its sessions have closed, and {why}")
                continue
            spare = functools.partial(self._spare, one.job_id, why, among)
            self._end(one.job_id, one.room, f"nobody is there, and {why}", spare)

    def _spare(self, job_id: str, why: str, among: Collection[str]) -> None:
        with self._lock:
            self._going.discard(job_id)
            self._spared[job_id] = time.monotonic()
            instead = self._take(among, 1)
        self._let_go(instead, why, among)
