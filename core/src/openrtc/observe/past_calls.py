"""`PastCall`: one call as its events tell of it, read back from a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

WORDS_OF = {"turn_completed": ("heard", "said"), "tool_called": ("arguments", "result", "error")}
"""Which fields of which events are null where words are not written."""


@dataclass(kw_only=True)
class PastCall:
    """One call, perhaps a live one.

    Args:
        job_id: LiveKit's id of the job.
        room: Name of the room.
        agent: Name of the agent.
        distribution: The distribution that brings it.
        version: Its version, whose code the call has; empty where no event says it.
        drift: What else was installed of it by then, in half a line, else empty.
        started: When its first event came, in seconds since the epoch.
        people: The identities of those who were there, as far as they are known.
        rule: The rule that chose the agent; empty where no event says it.
        why: Why, in words.
        seconds: How long it was; None before its end.
        reason: Why it ended; empty before that.
        failed: Whether an error ended it.
        turns: How many turns of the caller were answered.
        tool_calls: How many tools were called.
        errors: How many errors it had.
        usage: What its models have used.
        records: What plugins have recorded, by their distributions.
        without_words: Whether words of it were not written.
        refused: Whether it was turned down, and not held here.
        waits: The latencies of its turns, in seconds.
    """

    job_id: str
    room: str = ""
    agent: str = ""
    distribution: str = ""
    version: str = ""
    drift: str = ""
    started: float = 0.0
    people: list[str] = field(default_factory=list)
    rule: str = ""
    why: str = ""
    seconds: float | None = None
    reason: str = ""
    failed: bool = False
    turns: int = 0
    tool_calls: int = 0
    errors: int = 0
    usage: list[dict[str, Any]] = field(default_factory=list)
    records: dict[str, Any] = field(default_factory=dict)
    without_words: bool = False
    refused: bool = False
    waits: list[float] = field(default_factory=list)

    @property
    def state(self) -> str:
        """``live`` (or cut off with its worker), ``ended``, ``failed`` or ``rejected``."""
        if self.refused and self.seconds is None:
            return "rejected"
        return "live" if self.seconds is None else "failed" if self.failed else "ended"

    def note(self, event: dict[str, Any]) -> None:
        """Take an event of the call; of an older version some fields are missing."""
        kind = event["event"]
        self.started = self.started or _number(event.get("time"))
        for name in ("room", "agent", "distribution"):
            setattr(self, name, str(event.get(name) or getattr(self, name)))
        if any(event.get(name, "") is None for name in WORDS_OF.get(kind, ())):
            self.without_words = True
        if kind == "call_routed":
            self.rule, self.why, self.refused = str(event.get("rule", "")), str(event.get("reason", "")), False
            self.version, self.drift = str(event.get("version", "")), str(event.get("drift", ""))
        elif kind == "call_rejected":
            self.refused, self.reason = True, str(event.get("reason", ""))
        elif kind == "call_started" and event.get("identity"):
            self._add_person(event["identity"])
        elif kind == "call_error":
            self.errors += 1
        elif kind == "turn_completed" and event.get("answered", True):
            self.turns += 1
            if isinstance(event.get("latency_seconds"), int | float):
                self.waits.append(event["latency_seconds"])
        elif kind == "tool_called":
            self.tool_calls += 1
        elif kind == "call_ended":
            self._end(event)

    def to_json(self) -> dict[str, Any]:
        """Return the call as ``openrtc calls --json`` shows it."""
        waits = sorted(self.waits)
        return {
            "job_id": self.job_id,
            "state": self.state,
            "room": self.room,
            "agent": self.agent,
            "distribution": self.distribution,
            "version": self.version,
            "drift": self.drift,
            "people": self.people,
            "started": self.started,
            "seconds": self.seconds,
            "rule": self.rule,
            "why": self.why,
            "reason": self.reason,
            "turns": self.turns,
            "median_latency_seconds": waits[len(waits) // 2] if waits else None,
            "tool_calls": self.tool_calls,
            "errors": self.errors,
            "usage": self.usage,
            "records": self.records,
            "words": not self.without_words,
        }

    def _add_person(self, identity: object) -> None:
        if str(identity) not in self.people:
            self.people.append(str(identity))

    def _end(self, event: dict[str, Any]) -> None:
        self.seconds, self.reason = _number(event.get("seconds")), str(event.get("reason", ""))
        self.failed = bool(event.get("failed"))
        for identity in _list(event.get("people")):
            self._add_person(identity)
        self.usage = [one for one in _list(event.get("usage")) if isinstance(one, dict)]
        records = event.get("records")
        self.records = records if isinstance(records, dict) else {}


def collect_calls(events: Iterable[dict[str, Any]]) -> dict[str, PastCall]:
    """Return the calls of which events tell, by their ids, in the order in which they began."""
    calls: dict[str, PastCall] = {}
    for event in events:
        if job_id := event["job_id"]:
            calls.setdefault(job_id, PastCall(job_id=job_id)).note(event)
    return calls


def _list(value: object) -> Iterator[Any]:
    yield from value if isinstance(value, list) else ()


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
