"""`LeftBehind`: what an ended call has left behind, by whose code it is: a line in the log, and an event."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from livekit import rtc
from livekit.agents import JobContext

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallLeftBehind
from openrtc.session.containment import build_log_fields

logger = logging.getLogger("openrtc.worker")

_TASKS = "%s left %d tasks behind when %s had ended, such as %s: they are cancelled"
_THREADS = (
    "%s left %d threads behind when %s had ended, such as %s: no thread can be ended from outside, "
    "so give what blocks a time limit"
)
_ROOMS = "%s had joined %d more rooms and not left them when %s ended, such as %s: they are left"


class _Left(Protocol):
    @property
    def place(self) -> str: ...
    @property
    def distribution(self) -> str: ...


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What an ended call has left behind.

    Args:
        job_id: LiveKit's id of the job.
        context: Its context; None where it did not come so far.
        tasks: The tasks of agents' and plugins' code.
        threads: The threads.
        rooms: The further rooms that it had joined.
    """

    job_id: str
    context: JobContext | None
    tasks: Sequence[_Left]
    threads: Sequence[_Left]
    rooms: Sequence[rtc.Room]

    def log(self) -> None:
        """Write a line for each kind and each distribution."""
        for text, left in ((_TASKS, self.tasks), (_THREADS, self.threads)):
            for by, places in self._sort(left).items():
                self._warn(text, by, places)
        if self.rooms:
            self._warn(_ROOMS, self._own, [repr(room.name) for room in self.rooms])

    def emit(self, events: EventStream) -> None:
        """Emit an event for each distribution."""
        tasks, threads = self._sort(self.tasks), self._sort(self.threads)
        rooms = {self._own: [f"room {room.name!r}" for room in self.rooms]} if self.rooms else {}
        fields = build_log_fields(self.context)
        for by in dict.fromkeys([*tasks, *threads, *rooms]):
            each = [kind.get(by, []) for kind in (tasks, threads, rooms)]
            events.emit(
                CallLeftBehind(
                    job_id=self.job_id,
                    room=str(fields.get("room", "")),
                    agent=str(fields.get("agent", "")),
                    distribution=str(fields.get("distribution", "")),
                    left_by=by,
                    tasks=len(each[0]),
                    threads=len(each[1]),
                    rooms=len(each[2]),
                    place=next(place for places in each for place in places),
                )
            )

    @property
    def _own(self) -> str:
        return str(build_log_fields(self.context).get("distribution", ""))

    def _sort(self, left: Sequence[_Left]) -> dict[str, list[str]]:
        """Return the places by distribution; what is nobody's that is known is the agent's own."""
        found: dict[str, list[str]] = {}
        for one in left:
            found.setdefault(one.distribution or self._own, []).append(one.place)
        return found

    def _warn(self, text: str, by: str, places: Sequence[str]) -> None:
        fields = build_log_fields(self.context)
        agent = f"agent {fields.get('agent', '')!r}"
        who, whose = (agent, "its call") if by == self._own else (f"distribution {by!r}", f"a call of {agent}")
        logger.warning(text, who, len(places), whose, places[0], extra=fields)
