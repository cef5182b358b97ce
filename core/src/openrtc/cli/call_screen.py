"""`CallScreen`: prints what happens in a worker's calls, as `openrtc call` does for the one that it holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from openrtc.conversation.session_events import ToolUsed
from openrtc.errors import one_line
from openrtc.observe.events import (
    CallEnded,
    CallEvent,
    CallRejected,
    CallReloaded,
    CallRouted,
    CallStarted,
    Event,
    ToolCalled,
    TurnCompleted,
)
from openrtc.observe.words import Words

if TYPE_CHECKING:
    from rich.console import Console

_RESULT_LIMIT = 200
"""Characters of a tool's result; more is no help to who reads along."""
_LABEL = 9
"""Columns of a label, as in `openrtc call`."""
_LINE_LIMIT = 4000
"""Characters of a line: events hold no more of what is said."""
_LEFT_OUT = "…"

Line = tuple[str, str, str]
"""A label, what follows it, and the label's style."""


class CallScreen:
    """A sink that prints calls for people.

    Args:
        console: Where to print; it must not block.
        words: Which words are shown.
    """

    def __init__(self, console: Console, words: Words) -> None:
        self._console = console
        self._words = words
        self._lock = threading.Lock()  # events come from any thread
        self._shown = ""
        self._tools: dict[str, list[Line]] = {}

    def __call__(self, event: Event) -> None:
        """Print what an event says."""
        if not isinstance(event, CallEvent):
            return
        with self._lock:
            if isinstance(event, CallRouted):
                self._show_head(event, f"{event.rule}: {event.reason}")
                return
            for label, text, style in self._describe(event):
                if event.job_id != self._shown:  # another call has said something meanwhile
                    self._show_head(event)
                self._print(f"  {label:{_LABEL}}", text, style)

    def _describe(self, event: CallEvent) -> Iterator[Line]:
        if isinstance(event, CallRejected):
            yield "rejected", event.reason, "red"
        elif isinstance(event, CallStarted):
            yield "joined", f"after {event.setup_seconds:.2f} s", "dim"
        elif isinstance(event, ToolCalled):
            # A turn's tools are told before the turn, whose words they follow.
            self._tools.setdefault(event.job_id, []).append(_describe_tool(event, self._words))
        elif isinstance(event, TurnCompleted):
            yield from _describe_turn(event, self._words, self._tools.pop(event.job_id, []))
        elif isinstance(event, CallReloaded):
            yield _describe_reload(event)
        elif isinstance(event, CallEnded):
            yield from self._tools.pop(event.job_id, [])
            yield "ended", f"{event.reason}  ({event.seconds:.1f} s)", "red" if event.failed else "dim"

    def _show_head(self, event: CallEvent, why: str = "") -> None:
        self._shown = event.job_id
        self._print(f"\n{one_line(event.room)} -> {event.agent or '?'}", why, "bold")

    def _print(self, label: str, text: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text.assemble((label, style), " ", one_line(text, _LINE_LIMIT)), soft_wrap=True)


def _describe_turn(turn: TurnCompleted, words: Words, tools: list[Line]) -> Iterator[Line]:
    if turn.heard:
        yield "heard", _clean(turn.heard, words), "blue"
    yield from tools
    if not turn.said:
        if turn.heard and not tools:
            yield "silence", "no answer", "yellow"
        return
    who = f"{turn.member}: " if turn.member else ""
    cut = "  (interrupted)" if turn.interrupted else ""
    late = "" if turn.latency_seconds is None else f"  ({turn.latency_seconds:.2f} s)"
    yield "said", f"{who}{_clean(turn.said, words)}{cut}{late}", "green"


def _describe_reload(event: CallReloaded) -> Line:
    who = f"{event.member}: " if event.member else ""
    if event.reason:
        return "reloaded", f"{who}not this call: {event.reason}", "yellow"
    return "reloaded", f"{who}new code after {event.ms:.0f} ms", "cyan"


def _describe_tool(tool: ToolCalled, words: Words) -> Line:
    arguments = "{}" if tool.arguments in (None, "", "{}") else _clean(tool.arguments, words)
    use = ToolUsed(tool.name, arguments, "", tool.failed)
    result = _clean(tool.error if tool.failed else tool.result, words)
    outcome = f"failed: {result}" if tool.failed else f"= {result}" if result else ""
    return "called", f"{use.signature} {one_line(outcome, _RESULT_LIMIT)}", "red" if tool.failed else "cyan"


def _clean(text: str | None, words: Words) -> str:
    """Return what may be shown of a text."""
    if not text:
        return ""
    cleaned = words.clean(text)
    return _LEFT_OUT if cleaned is None else cleaned
