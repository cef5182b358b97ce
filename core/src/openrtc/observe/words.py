"""Which words are written: what people and agents say, what tools are given and give, and texts of errors.

Events hold all of it. Each sink that writes decides here what it leaves out, so that plugins and observers in the
process see whole values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from openrtc.observe.events import WORDS, CallError, Event, MemberLeft, PluginFailed

NONE, REDACTED, FULL = MODES = ("none", "redacted", "full")
"""No words, what ``openrtc_redact`` of the plugins leaves of them, or all."""

PII = "lk.pii."
"""How livekit-agents' names of what it calls personal begin, in spans and log lines."""
_NO_WORDS = (f"{PII}participant_identity", f"{PII}room_name")
_TYPE = re.compile(r"[A-Za-z_][\w.]*(?=: |:?$)")


def _redact_nothing(_: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Words:
    """Which words a sink writes.

    Args:
        mode: ``none``, ``redacted`` or ``full``.
        redact: Returns what is left of a text, or None where nothing of it may be written.
    """

    mode: str = NONE
    redact: Callable[[str], str | None] = _redact_nothing

    def clean(self, text: str | None) -> str | None:
        """Return a text as it may be written; None where it may not."""
        if self.mode == FULL or text is None:
            return text
        return self.redact(text) if self.mode == REDACTED else None

    def clean_error(self, error: str) -> str:
        """Return what is said of an error as it may be written: at least its type."""
        cleaned = self.clean(error)
        if cleaned is not None:
            return cleaned
        kind = _TYPE.match(error)
        return kind[0] if kind else ""

    def describe(self, event: Event) -> dict[str, Any]:
        """Return an event as JSON, with the words that may be written."""
        value = event.to_json()
        if self.mode == FULL:
            return value
        for name in _list_words(type(event)):
            value[name] = self.clean(value[name])
        if isinstance(event, CallError | PluginFailed):
            value["error"] = self.clean_error(event.error)
        elif isinstance(event, MemberLeft) and event.failed:
            what, _, _ = event.reason.partition(": ")  # the text of an error follows
            value["reason"] = self.clean(event.reason) or what
        return value


def _list_words(kind: type[Event]) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind) if WORDS in one.metadata)


_of_log = Words()


def use_words_in_log(words: Words) -> None:
    """Set which words the log of this process has from now on."""
    global _of_log
    _of_log = words


def words_of_log() -> Words:
    """Return which words the log of this process has."""
    return _of_log


def clean_log_fields(fields_of_record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a log record without the words that livekit-agents adds and that may not be written."""
    if _of_log.mode == FULL:
        return fields_of_record
    cleaned = {
        key: _of_log.clean(str(value)) if key.startswith(PII) and key not in _NO_WORDS else value
        for key, value in fields_of_record.items()
    }
    return {key: value for key, value in cleaned.items() if value is not None}
