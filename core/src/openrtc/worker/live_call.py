"""`LiveCall`: one running call, and what it tells the event stream."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from openrtc.cast.current import current_role
from openrtc.errors import OpenRTCError, one_line
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallEnded, CallError, CallStarted, TurnCompleted
from openrtc.worker.cpu_meter import CpuMeter


@dataclass(kw_only=True)
class LiveCall:
    """One running call.

    Args:
        events: Where it tells what happens.
        job_id: LiveKit's id of the job.
        room: Name of the room.
        agent: Name of the agent.
        distribution: The distribution that brings the agent; empty for agents registered in code.
        package: Top-level module of the agent's code.
        since: Start of the job, on the monotonic clock.
        cpu: The time that its tasks have taken.
        errors: How many errors it had.
        failed: Whether an error ended it.
    """

    events: EventStream
    job_id: str
    room: str
    agent: str
    distribution: str
    package: str = ""
    since: float = field(default_factory=time.monotonic)
    cpu: CpuMeter = field(default_factory=CpuMeter)
    errors: int = 0
    failed: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """What every event of the call carries."""
        return {"job_id": self.job_id, "room": self.room, "agent": self.agent, "distribution": self.distribution}

    @property
    def age(self) -> float:
        """Seconds since the start of the job."""
        return time.monotonic() - self.since

    def started(self) -> None:
        """Tell that the agent's session has started."""
        self.events.emit(CallStarted(**self.fields, setup_seconds=self.age))

    def error(self, where: str, error: BaseException, place: str, *, fatal: bool = False, member: str = "") -> None:
        """Tell that something failed.

        Args:
            where: What failed, as in `CallError`.
            error: What was raised.
            place: ``file:line``, or empty.
            fatal: Whether it ends the call.
            member: Role of the member of a cast in which it failed; by default the one whose code runs now.
        """
        self.errors += 1
        self.failed = self.failed or fatal
        said = str(error) if isinstance(error, OpenRTCError) else one_line(f"{type(error).__name__}: {error}")
        self.events.emit(
            CallError(**self.fields, where=where, error=said, place=place, fatal=fatal, member=member or current_role())
        )

    def answered(self, heard: str, **values: Any) -> None:
        """Tell that the agent has answered a turn of the caller.

        Args:
            heard: The caller's words.
            **values: The latencies of `TurnCompleted`, in seconds, and perhaps its ``member``.
        """
        self.events.emit(TurnCompleted(**self.fields, heard=heard, **values))

    def ended(self, reason: str) -> None:
        """Tell that the call is over."""
        self.events.emit(CallEnded(**self.fields, reason=reason, seconds=self.age, failed=self.failed))
