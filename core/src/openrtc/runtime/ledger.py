"""`Ledger`: what a call comes to: its turns, tools, the usage of its models, its people, and what plugins record."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any

from openrtc.errors import one_line, summarize_error
from openrtc.observe.events import CallStarted, Event, ToolCalled, TurnCompleted, Usage

logger = logging.getLogger("openrtc.hooks")

LONGEST_KEY = 100
"""Characters of the key of a record."""
LARGEST_RECORDS = 32_000
"""Bytes of JSON that all records of a call may have: they come in one event, which has to pass through a socket."""


@dataclass(kw_only=True)
class Ledger:
    """What a call comes to; its totals go into ``call_ended``.

    Args:
        turns: How many turns of the caller were answered.
        tool_calls: How many tools were called.
        people: The identities of the people who were there, in the order in which they came.
        records: What was recorded, by distribution.
        closed: Whether ``call_ended`` has been emitted, so that nothing can be added.
    """

    turns: int = 0
    tool_calls: int = 0
    people: dict[str, None] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    closed: bool = False
    _usage: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)

    @property
    def usage(self) -> tuple[dict[str, Any], ...]:
        """What all sessions have used, one entry for each model."""
        return tuple(dict(one) for one in self._usage.values())

    def note(self, event: Event) -> None:
        """Count an event of the call."""
        match event:
            case CallStarted(identity=str(person)) if person:
                self.people.setdefault(person)
            case TurnCompleted():
                self.turns += event.answered
            case ToolCalled():
                self.tool_calls += 1
            case Usage():
                names = {"type": event.type, "provider": event.provider, "model": event.model}
                total = self._usage.setdefault((*names.values(),), dict(names))
                for name, count in event.counts.items():
                    total[name] = total.get(name, 0) + count

    def record(self, distribution: str, key: str, value: Any) -> None:
        """Keep a value for ``call_ended``; one that cannot be kept is one line in the log.

        Args:
            distribution: Who records it.
            key: Its name; a further value of the same name takes the place of the first.
            value: A JSON value.
        """
        try:
            kept = self._check(distribution, key, value)
        except Exception as error:  # whatever a value does while it is read: the call must not end with it
            why = str(error) if isinstance(error, _CannotKeep) else f"it cannot be JSON: {summarize_error(error, 200)}"
            logger.error("%s: call.record(%s, …) is left out: %s", distribution, one_line(f"{key!r}", 120), why)
            return
        self.records.setdefault(distribution, {})[key] = kept

    def _check(self, distribution: str, key: object, value: Any) -> Any:
        if self.closed:
            raise _CannotKeep("the call is over; record in openrtc_session_ended at the latest")
        if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
            raise _CannotKeep(f"its key must be a string of 1 to {LONGEST_KEY} printable characters")
        text = json.dumps(value, allow_nan=False)
        others = {name: one for name, one in self.records.get(distribution, {}).items() if name != key}
        size = len(text) + len(json.dumps({**self.records, distribution: {**others, key: None}}))
        if size > LARGEST_RECORDS:
            raise _CannotKeep(f"the call's records would have {size} bytes, more than {LARGEST_RECORDS}")
        return json.loads(text)  # so that what the plugin does with it afterwards changes nothing


class _CannotKeep(ValueError):
    """A value cannot be kept; the message says why."""
