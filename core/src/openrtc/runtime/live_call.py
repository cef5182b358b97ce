"""`LiveCall`: one running call, the time that it takes on the loop, and the events that it emits."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from openrtc.errors import summarize_error
from openrtc.model.cast_member import current_role
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallAttended, CallEnded, CallError, CallStarted, CallWaiting, TurnCompleted


class CpuMeter:
    """Counts the time that the tasks of one call take on the loop; `containment` adds each step to `nanoseconds`.

    Each step of a task is timed by the wall clock: reading the thread's own CPU clock costs four times as much (1.4 µs
    a step against 0.4 µs). A step runs without a break, so that the two differ only by the time for which other
    threads or processes had the core, and by calls that block without computing. What native threads do for the call
    (audio coding, network) and what runs in other threads is not in it.
    """

    __slots__ = ("nanoseconds",)

    def __init__(self) -> None:
        self.nanoseconds = 0

    @property
    def seconds(self) -> float:
        """What the tasks have taken so far, in seconds."""
        return self.nanoseconds / 1e9


current_meter: ContextVar[CpuMeter | None] = ContextVar("openrtc_cpu_meter", default=None)
"""The meter of the call whose code runs now; tasks inherit it from the task that makes them."""


@dataclass(kw_only=True)
class LiveCall:
    """One running call.

    Args:
        events: Where it emits what happens.
        job_id: LiveKit's id of the job.
        room: Name of the room.
        agent: Name of the agent.
        distribution: The distribution that brings the agent; empty for agents registered in code.
        packages: Top-level modules of the agent's code.
        since: Start of the job, on the monotonic clock.
        cpu: The time that its tasks have taken.
        errors: How many errors it had.
        failed: Whether an error ended it.
        error: Its last error.
        cancelled: Why its session could not start, where that is nobody's error.
        typed_at: When somebody has last written to the agent, on the monotonic clock; None before that.
        unheard: Whether it went on, or was ended, because nobody heard it.
        left_at: When its last person has left, on the monotonic clock; None while somebody is there, and where nobody
            has been.
        ended: Whether it is over.
    """

    events: EventStream
    job_id: str
    room: str
    agent: str
    distribution: str
    packages: frozenset[str] = frozenset()
    since: float = field(default_factory=time.monotonic)
    cpu: CpuMeter = field(default_factory=CpuMeter)
    errors: int = 0
    failed: bool = False
    error: BaseException | None = None
    cancelled: BaseException | None = None
    typed_at: float | None = None
    unheard: bool = False
    left_at: float | None = None
    ended: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """What every event of the call carries."""
        return {"job_id": self.job_id, "room": self.room, "agent": self.agent, "distribution": self.distribution}

    @property
    def age(self) -> float:
        """Seconds since the start of the job."""
        return time.monotonic() - self.since

    def emit_started(self) -> None:
        """Emit that the agent's session has started."""
        self.events.emit(CallStarted(**self.fields, setup_seconds=self.age))

    def emit_error(
        self, where: str, error: BaseException, place: str, *, fatal: bool = False, member: str = ""
    ) -> None:
        """Emit that something failed.

        Args:
            where: What failed, as in `CallError`.
            error: What was raised.
            place: ``file:line``, or empty.
            fatal: Whether it ends the call.
            member: Role of the member of a cast in which it failed; by default the one whose code runs now.
        """
        self.errors += 1
        self.error = error
        self.failed = self.failed or fatal
        said, member = summarize_error(error), member or current_role()
        event = CallError(**self.fields, where=where, error=said, place=place, fatal=fatal, member=member)
        self.events.emit(event)

    def emit_turn(self, heard: str, **values: Any) -> None:
        """Emit that the agent has answered a turn of the caller.

        Args:
            heard: The caller's words.
            **values: The latencies of `TurnCompleted`, in seconds, and perhaps its ``member``.
        """
        self.events.emit(TurnCompleted(**self.fields, heard=heard, **values))

    def emit_waiting(self, cause: str, *, may_be_ended: bool) -> None:
        """Emit that nobody is in the call; the arguments are those of `CallWaiting`."""
        self.events.emit(CallWaiting(**self.fields, cause=cause, may_be_ended=may_be_ended))

    def emit_attended(self) -> None:
        """Emit that somebody is in the call that nobody was in."""
        self.events.emit(CallAttended(**self.fields))

    def emit_ended(self, reason: str) -> None:
        """Emit that the call is over; it has ended when its last person left."""
        self.ended = True
        seconds = self.age if self.left_at is None else max(0.0, self.left_at - self.since)
        self.events.emit(CallEnded(**self.fields, reason=reason, seconds=seconds, failed=self.failed))
