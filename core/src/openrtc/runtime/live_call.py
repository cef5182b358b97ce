"""`LiveCall`: one running call, the time that it takes on the loop, and the events that it emits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from openrtc.errors import summarize_error
from openrtc.model.cast_member import current_role
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import (
    CallAttended,
    CallEnded,
    CallError,
    CallEvent,
    CallStarted,
    CallWaiting,
    ToolCalled,
    TurnCompleted,
    Usage,
)
from openrtc.runtime.ledger import Ledger
from openrtc.runtime.live_session import LiveSession

LONGEST_WORDS = 4000
"""Characters of each text that an event holds: callers can type megabytes, and each sink writes them on the loop."""

PERSON_SECONDS = 10.0
"""How long it takes at most to tell that a call has started: agents join while the models begin."""

END_WAIT_SECONDS = 5.0
"""How long the end of a call waits to be told for the end of its sessions and of ``openrtc_session_ended``: what they
use and what plugins record is part of it."""


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
        listens: Whether its agent takes what people type.
        typed: What takes what they have typed before that.
        unheard: Whether it went on, or was ended, because nobody heard it.
        left_at: When its last person has left, on the monotonic clock; None while somebody is there, and where nobody
            has been.
        ended: Whether it is over.
        expects_people: Whether people come into its room, and are noted.
        ledger: What it comes to.
        awaited: What is set when a session has closed, or the plugins' hooks have run: only then its end is told.
        at_end: Called before its end is told.
        sessions: Its sessions whose agents OpenRTC has built.
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
    listens: bool = False
    typed: list[Callable[[], object]] = field(default_factory=list)
    unheard: bool = False
    left_at: float | None = None
    ended: bool = False
    expects_people: bool = False
    ledger: Ledger = field(default_factory=Ledger)
    awaited: list[asyncio.Event] = field(default_factory=list)
    at_end: list[Callable[[], None]] = field(default_factory=list)
    sessions: list[LiveSession] = field(default_factory=list)
    _started: CallStarted | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """What every event of the call carries."""
        return {"job_id": self.job_id, "room": self.room, "agent": self.agent, "distribution": self.distribution}

    @property
    def age(self) -> float:
        """Seconds since the start of the job."""
        return time.monotonic() - self.since

    def emit_started(self) -> None:
        """Emit that the agent's session has started; with the person's identity, which may take a moment to be known.

        Whatever else happens in the call is told afterwards.
        """
        person = next(iter(self.ledger.people), "")
        self._started = CallStarted(**self.fields, setup_seconds=self.age, identity=person)
        if person or not self.expects_people:
            self._tell_started()
        else:
            asyncio.get_running_loop().call_later(PERSON_SECONDS, self._tell_started)

    def listen(self) -> None:
        """Let the agent take what people have typed so far, and at once what they type from now on."""
        self.listens = True
        while self.typed:
            self.typed.pop(0)()

    def note_person(self, identity: str) -> None:
        """Note that a person is there."""
        self.ledger.people.setdefault(identity)
        if self._started is not None:
            self._started = replace(self._started, identity=identity)
            self._tell_started()

    def _tell_started(self) -> None:
        if started := self._started:
            self._started = None
            self.events.emit(started)

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
        self._emit(event)

    def emit_turn(self, heard: str, said: str, **values: Any) -> None:
        """Emit that the agent has had a turn.

        Args:
            heard: The caller's words.
            said: The agent's words.
            **values: The other fields of `TurnCompleted`.
        """
        self._emit(TurnCompleted(**self.fields, heard=_cut(heard), said=_cut(said), **values))

    def emit_tool(self, name: str, **values: Any) -> None:
        """Emit that a tool has ended; the arguments are those of `ToolCalled`."""
        cut: dict[str, Any] = {key: _cut(one) if isinstance(one, str) else one for key, one in values.items()}
        self._emit(ToolCalled(**self.fields, name=_cut(name), **cut))

    def emit_usage(self, **values: Any) -> None:
        """Emit what a session has used of one model; the arguments are those of `Usage`."""
        self._emit(Usage(**self.fields, **values))

    def emit_waiting(self, cause: str, *, may_be_ended: bool) -> None:
        """Emit that nobody is in the call; the arguments are those of `CallWaiting`."""
        self._emit(CallWaiting(**self.fields, cause=cause, may_be_ended=may_be_ended))

    def emit_attended(self) -> None:
        """Emit that somebody is in the call that nobody was in."""
        self._emit(CallAttended(**self.fields))

    async def emit_ended_when_told(self, reason: str) -> None:
        """Emit that the call is over, when its sessions have closed and plugins have recorded what they have to.

        It does not wait for long, and not at all where it is cancelled.

        Args:
            reason: Why it is over.
        """
        self.ended = True
        seconds = self.seconds
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_WAIT_SECONDS):
                    for event in self.awaited[:]:
                        await event.wait()
        finally:
            self._emit_ended(reason, seconds)

    def emit_ended(self, reason: str) -> None:
        """Emit that the call is over; it has ended when its last person left."""
        self._emit_ended(reason, self.seconds)

    @property
    def seconds(self) -> float:
        """How long it was, until now or until its last person left."""
        return self.age if self.left_at is None else max(0.0, self.left_at - self.since)

    def _emit(self, event: CallEvent) -> None:
        self._tell_started()
        self.ledger.note(event)
        self.events.emit(event)

    def _emit_ended(self, reason: str, seconds: float) -> None:
        for tell in self.at_end:
            tell()
        self.ended = self.ledger.closed = True
        ledger = self.ledger
        totals: dict[str, Any] = {
            "people": tuple(ledger.people),
            "turns": ledger.turns,
            "tool_calls": ledger.tool_calls,
            "usage": ledger.usage,
            "records": {name: dict(one) for name, one in ledger.records.items()},
        }
        self._emit(CallEnded(**self.fields, reason=reason, seconds=seconds, failed=self.failed, **totals))


def _cut(text: str) -> str:
    return text[:LONGEST_WORDS]
