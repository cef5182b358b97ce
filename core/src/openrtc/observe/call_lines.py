"""`CallLines`: what is said in calls, and which tools are called, as lines of the log."""

from __future__ import annotations

import logging

from openrtc.errors import one_line
from openrtc.observe.events import CallEvent, Event, ToolCalled, TurnCompleted
from openrtc.observe.words import Words

logger = logging.getLogger("openrtc.calls")


class CallLines:
    """A sink that logs each turn and tool with its words; only for a log that has words.

    Args:
        words: Which words the log has.
    """

    def __init__(self, words: Words) -> None:
        self._words = words

    def __call__(self, event: Event) -> None:
        """Log an event."""
        match event:
            case TurnCompleted():
                self._log(event, _describe_turn(event, self._words), event.member)
            case ToolCalled():
                self._log(event, _describe_tool(event, self._words), event.member)

    def _log(self, event: CallEvent, text: str, member: str) -> None:
        fields = {"job_id": event.job_id, "room": event.room, "agent": event.agent, "distribution": event.distribution}
        logger.info("%s", text, extra=fields | ({"role": member} if member else {}))


def _describe_turn(turn: TurnCompleted, words: Words) -> str:
    parts = []
    if turn.heard:
        parts.append(f"heard {_quote(words.clean(turn.heard))}")
    if turn.said:
        parts.append(f"said {_quote(words.clean(turn.said))}")
    waited = f" ({turn.latency_seconds:.2f} s)" if turn.latency_seconds is not None else ""
    return f"{', '.join(parts) or 'said nothing'}{waited}{', interrupted' if turn.interrupted else ''}"


def _describe_tool(tool: ToolCalled, words: Words) -> str:
    what, text = ("failed", tool.error) if tool.failed else ("returned", tool.result)
    given = words.clean(tool.arguments)
    return (
        f"tool {tool.name}({'…' if given is None else one_line(given)}) {what} {_quote(words.clean(text))} "
        f"after {tool.seconds:.2f} s"
    )


def _quote(text: str | None) -> str:
    return "…" if text is None else f'"{one_line(text)}"'
