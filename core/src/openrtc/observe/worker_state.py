"""`WorkerState`: what a worker does now and has done so far, as its events say."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from openrtc.observe.events import (
    CallAttended,
    CallEnded,
    CallError,
    CallEvent,
    CallLeftBehind,
    CallRejected,
    CallRouted,
    CallStarted,
    CallWaiting,
    Event,
    LoopBlocked,
    TurnCompleted,
    WorkerDraining,
    WorkerRegistered,
)
from openrtc.observe.words import FULL, Words

ALL_WORDS = Words(FULL)

JOIN_SECONDS = 60.0
"""A call that was accepted and has not started by then never will: the LiveKit server did not assign it."""

ENDED_REMEMBERED = 256
"""How many ended calls are remembered, so that their last log lines still get the call's fields."""

FAILURES_REMEMBERED = 20
"""So many errors that ended calls are kept for whoever asks why an agent has gone."""

REJECTS_REMEMBERED = 50
"""How many rejected calls are remembered with their reasons, for `openrtc dispatch --wait`, which asks for them."""

CPU_SAMPLES = 6
"""The CPU share of a call is that of the last five seconds, with a sample each second."""


@dataclass(kw_only=True, slots=True)
class LeftCount:
    """What the ended calls have left behind of one distribution's code.

    Args:
        calls: How many calls have left something.
        tasks: How many tasks.
        threads: How many threads.
        rooms: How many further rooms.
        place: Where the latest stands.
    """

    calls: int = 0
    tasks: int = 0
    threads: int = 0
    rooms: int = 0
    place: str = ""


@dataclass(kw_only=True, slots=True)
class CallRow:
    """A call that is live, or about to be.

    Args:
        job_id: LiveKit's id of the job.
        room: Name of the room.
        agent: Name of the agent.
        distribution: The distribution that brings it.
        pid: The process that runs it.
        since: When it was routed or began, in seconds since the epoch.
        rule: The rule that chose the agent.
        reason: Why it did, in words.
        started: Whether its session has started.
        waiting: Whether nobody is in it, not yet or no more, so that it holds no slot.
        turns: How many turns of the caller were answered.
        heard: The caller's words in the last turn of the agent; None where they are not shown.
        said: The agent's words in it; likewise.
        latency: From the end of the caller's speech to the agent's first audio in the last turn, in seconds.
        errors: How many errors it had.
        blocked: Seconds for which its code has blocked the loop, as far as that is over.
        blocking: Seconds for which it has been blocking the loop until now.
        cpu: Times and CPU seconds of the last samples.
    """

    job_id: str
    room: str
    agent: str
    distribution: str
    pid: int
    since: float
    rule: str = ""
    reason: str = ""
    started: bool = False
    waiting: bool = False
    turns: int = 0
    latency: float | None = None
    heard: str | None = None
    said: str | None = None
    errors: int = 0
    blocked: float = 0.0
    blocking: float = 0.0
    cpu: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=CPU_SAMPLES))

    @property
    def cpu_share(self) -> float | None:
        """CPU seconds a second over the last samples; None before there are two."""
        if len(self.cpu) < 2:
            return None
        (first, before), (last, now) = self.cpu[0], self.cpu[-1]
        return max(0.0, now - before) / (last - first) if last > first else None

    def to_json(self) -> dict[str, Any]:
        """Return the call as ``openrtc top --json`` shows it."""
        return {
            "job_id": self.job_id,
            "room": self.room,
            "agent": self.agent,
            "distribution": self.distribution,
            "pid": self.pid,
            "rule": self.rule,
            "reason": self.reason,
            "state": "waiting" if self.waiting else "live" if self.started else "joining",
            "age_seconds": round(max(0.0, time.time() - self.since), 3),
            "turns": self.turns,
            "last_latency_seconds": self.latency,
            "last_heard": self.heard,
            "last_said": self.said,
            "errors": self.errors,
            "cpu_share": None if self.cpu_share is None else round(self.cpu_share, 4),
            "blocked_ms": round((self.blocked + self.blocking) * 1000, 1),
        }


class WorkerState:
    """A sink that keeps what events say of a worker; for use from any thread.

    Args:
        words: Which words of the calls it keeps.

    `draining` says whether the worker drains, `worker_id` the id that the LiveKit server gave it, empty at first;
    `roll_out_failed` why it was not replaced by a new worker at the last attempt, if there was one;
    `ended`, `failed` and `blocked` count calls, failed calls and seconds; `rejects` counts by cause, `left_behind` by
    distribution.
    """

    def __init__(self, words: Words = ALL_WORDS) -> None:
        self._words = words
        self._lock = threading.Lock()
        self._calls: dict[str, CallRow] = {}
        self._ended_calls: dict[str, dict[str, str]] = {}
        self.worker_id = ""
        self.draining = False
        self.roll_out_failed: str | None = None
        self.ended = 0
        self.failed = 0
        self.blocked = 0.0
        self.rejects: Counter[str] = Counter()
        self.left_behind: dict[str, LeftCount] = {}
        self._recent_rejects: deque[CallRejected] = deque(maxlen=REJECTS_REMEMBERED)
        self._recent_failures: deque[CallError] = deque(maxlen=FAILURES_REMEMBERED)

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        with self._lock:
            if isinstance(event, CallEvent):
                self._note_call(event)
            elif isinstance(event, WorkerRegistered):
                self.worker_id = event.worker_id
            elif isinstance(event, WorkerDraining):
                self.draining = True

    @property
    def calls(self) -> list[CallRow]:
        """The calls that are live or about to be, oldest first."""
        with self._lock:
            late = time.time() - JOIN_SECONDS
            for row in [row for row in self._calls.values() if not row.started and row.since < late]:
                del self._calls[row.job_id]
            return list(self._calls.values())

    @property
    def recent_rejects(self) -> list[dict[str, Any]]:
        """The last rejected calls, oldest first, as ``openrtc top --json`` shows them."""
        with self._lock:
            return [
                {"time": one.time, "room": one.room, "cause": one.cause, "reason": one.reason}
                for one in self._recent_rejects
            ]

    @property
    def recent_failures(self) -> list[dict[str, Any]]:
        """The last errors that ended calls, oldest first, as ``openrtc top --json`` shows them."""
        with self._lock:
            return [
                {
                    "time": one.time,
                    "room": one.room,
                    "agent": one.agent,
                    "error": self._words.clean_error(one.error),
                    "place": one.place,
                }
                for one in self._recent_failures
            ]

    def find_fields(self, job_id: str) -> dict[str, str]:
        """Return room, agent and distribution of a call, as far as they are known; also when it is over."""
        # Without the lock, which the thread that logs may hold: looking up one key is safe.
        row = self._calls.get(job_id)
        return _read_fields(row) if row else self._ended_calls.get(job_id, {})

    def has_ended(self, job_id: str) -> bool:
        """Whether a call was live here and is over, as far as it is remembered."""
        return job_id in self._ended_calls

    def _note_call(self, event: CallEvent) -> None:
        if isinstance(event, CallError) and event.fatal:
            self._recent_failures.append(event)
        if isinstance(event, CallRejected):
            self.rejects[event.cause] += 1
            self._recent_rejects.append(event)
        elif isinstance(event, CallEnded):
            self._calls.pop(event.job_id, None)
            self._ended_calls[event.job_id] = _read_fields(event)
            if len(self._ended_calls) > ENDED_REMEMBERED:
                del self._ended_calls[next(iter(self._ended_calls))]
            self.ended += 1
            self.failed += event.failed
        elif isinstance(event, CallLeftBehind):
            self._note_left(event)
        elif isinstance(event, LoopBlocked):
            self._note_block(event)
        else:
            self._note_progress(event)

    def _note_left(self, event: CallLeftBehind) -> None:
        before = self.left_behind.get(event.left_by, LeftCount())
        count = LeftCount(
            calls=before.calls + 1,
            tasks=before.tasks + event.tasks,
            threads=before.threads + event.threads,
            rooms=before.rooms + event.rooms,
            place=event.place,
        )
        self.left_behind = {**self.left_behind, event.left_by: count}  # replaced: another thread may be reading it

    def _note_block(self, event: LoopBlocked) -> None:
        self.blocked += 0.0 if event.ongoing else event.seconds
        if row := self._calls.get(event.job_id):
            row.blocking = event.seconds if event.ongoing else 0.0
            row.blocked += 0.0 if event.ongoing else event.seconds

    def _note_progress(self, event: CallEvent) -> None:
        row = self._calls.get(event.job_id)
        if row is None:
            row = self._calls[event.job_id] = CallRow(
                job_id=event.job_id,
                room=event.room,
                agent=event.agent,
                distribution=event.distribution,
                pid=event.pid,
                since=event.time,
            )
        if isinstance(event, CallRouted):
            row.rule, row.reason = event.rule, event.reason
        elif isinstance(event, CallStarted):
            row.started, row.pid = True, event.pid
        elif isinstance(event, CallWaiting | CallAttended):
            row.waiting = isinstance(event, CallWaiting)
        elif isinstance(event, TurnCompleted):
            row.heard, row.said = self._words.clean(event.heard), self._words.clean(event.said)
            if event.answered:
                row.turns, row.latency = row.turns + 1, event.latency_seconds
        elif isinstance(event, CallError):
            row.errors += 1


def _read_fields(call: CallRow | CallEvent) -> dict[str, str]:
    return {"room": call.room, "agent": call.agent, "distribution": call.distribution}
