"""How `openrtc calls` looks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openrtc.cli.output import say
from openrtc.cli.table import TextTable
from openrtc.errors import one_line
from openrtc.observe.past_calls import PastCall

HINT = (
    'what was said is not written: [observe] words = "full" in openrtc.toml, OPENRTC_WORDS or --words turns it on '
    'for further calls ("redacted": what openrtc_redact leaves of it)'
)
STAGE_NAMES = {
    "end_of_turn_seconds": "end of turn",
    "llm_ttft_seconds": "first token",
    "tts_ttfb_seconds": "first audio",
}


def print_calls(calls: Sequence[PastCall], total: int) -> None:
    """Print a table of calls.

    Args:
        calls: Those that are shown.
        total: How many there are.
    """
    if not calls:
        return
    table = TextTable(
        "Call", "Started", "Agent", "Person", "Room", "Seconds", "Turns", "Latency", "Tools", "How it ended"
    )
    for call in calls:
        table.add(*_list_cells(call))
    table.print()
    if len(calls) < total:
        print(f"the last {len(calls)} of {total} calls; --last 0 shows all")
    if any(call.without_words for call in calls):
        print_words_hint()


def print_call(call: PastCall, events: Sequence[Mapping[str, Any]]) -> None:
    """Print one call: who, why routed so, what was said, what it used, how it ended."""
    by = f" of {' '.join(filter(None, (call.distribution, call.version)))}" if call.distribution else ""
    say(f"call     {call.job_id} in room {call.room!r:.200}, {call.state}")
    say(f"agent    {call.agent or '(none)'}{by}")
    if call.drift:
        say(f"drift    {one_line(call.drift)}")
    say(f"person   {', '.join(map(one_line, call.people)) or '(not known)'}")
    say(f"started  {_format_time(call.started, '%Y-%m-%d %H:%M:%S')}")
    say(f"routed   {f'by {call.rule}: {one_line(call.why)}' if call.rule else '(no event says why)'}")
    print()
    for event in events:
        if line := describe_in_line(event):
            say(line)
    print()
    for line in _describe_totals(call):
        say(line)
    if call.without_words:
        print_words_hint()


def print_words_hint() -> None:
    """Say that words are off, and how they are turned on."""
    print(HINT)


def describe_in_line(event: Mapping[str, Any], *, of_one: bool = True) -> str:
    """Return a line for an event of a call; empty for one that says nothing to a reader.

    Args:
        event: The event.
        of_one: Whether the call is known, so that the line need not name it.
    """
    text = _describe(event)
    if not text:
        return ""
    at = event.get("time")
    member = f"{event['member']}: " if event.get("member") else ""
    call = "" if of_one else f"{event.get('job_id')} {event.get('agent')}  "
    return f"{_format_time(at, '%H:%M:%S')}  {call}{member}{text}"


def _describe(event: Mapping[str, Any]) -> str:
    match event["event"]:
        case "call_started":
            return f"started after {_seconds(event.get('setup_seconds'))}"
        case "turn_completed":
            return _describe_turn(event)
        case "tool_called":
            what, text = ("failed", event.get("error")) if event.get("failed") else ("returned", event.get("result"))
            took = _seconds(event.get("seconds"))
            return f"tool {event.get('name')}({_quote(event.get('arguments'), '')}) {what} {_quote(text)} after {took}"
        case "call_error":
            place = f" at {event['place']}" if event.get("place") else ""
            return f"error in {event.get('where')}: {one_line(str(event.get('error', '')))}{place}"
        case "member_left" | "ear_moved" | "call_waiting":
            return f"{event['event'].replace('_', ' ')}: {event.get('reason') or event.get('cause')}"
        case "loop_blocked" if not event.get("ongoing"):
            return f"blocked the loop for {_seconds(event.get('seconds'))} at {event.get('place')}"
        case "call_rejected" | "call_ended":
            return f"{event['event'].removeprefix('call_')}: {one_line(str(event.get('reason', '')))}"
    return ""


def _describe_turn(event: Mapping[str, Any]) -> str:
    heard, said = event.get("heard"), event.get("said", "")
    parts = [f"heard {_quote(heard)}"] if heard is None or heard else []
    parts += [f"said {_quote(said)}"] if said is None or said else []
    stages = [f"{name} {_seconds(event[key])}" for key, name in STAGE_NAMES.items() if event.get(key) is not None]
    if event.get("latency_seconds") is not None:
        stages.append(f"answered after {_seconds(event['latency_seconds'])}")
    took = f"  [{', '.join(stages)}]" if stages else ""
    return f"{', '.join(parts)}{', interrupted' if event.get('interrupted') else ''}{took}"


def _describe_totals(call: PastCall) -> Iterator[str]:
    waits = sorted(call.waits)
    median = f", answered after {waits[len(waits) // 2]:.2f} s (median)" if waits else ""
    yield f"turns    {call.turns}{median}; tools {call.tool_calls}; errors {call.errors}"
    for used in call.usage:
        counts = ", ".join(f"{name} {count:g}" for name, count in used.items() if isinstance(count, int | float))
        yield f"used     {used.get('type')} {used.get('provider')} {used.get('model')}: {counts}"
    for distribution, records in call.records.items():
        for key, value in records.items() if isinstance(records, dict) else ():
            yield f"record   {distribution} {key}: {_format_record(value)}"
    if call.seconds is None:
        yield (
            "ended    not yet, or its worker was killed"
            if call.state == "live"
            else f"rejected {one_line(call.reason)}"
        )
    else:
        yield f"ended    {'by an error: ' if call.failed else ''}{one_line(call.reason)}, after {call.seconds:.1f} s"


def _list_cells(call: PastCall) -> list[str]:
    waits = sorted(call.waits)
    return [
        call.job_id,
        _format_time(call.started, "%Y-%m-%d %H:%M"),
        call.agent,
        one_line(", ".join(call.people), 40),
        one_line(call.room, 80),
        "" if call.seconds is None else f"{call.seconds:.1f}",
        str(call.turns),
        f"{waits[len(waits) // 2]:.2f} s" if waits else "",
        str(call.tool_calls),
        call.state if call.state in ("live", "rejected") else one_line(f"{call.state}: {call.reason}", 60),
    ]


def _quote(text: object, mark: str = '"') -> str:
    return "…" if text is None else f"{mark}{one_line(str(text))}{mark}"


def _seconds(value: object) -> str:
    return f"{value:.2f} s" if isinstance(value, int | float) else "?"


def _format_time(at: object, style: str) -> str:
    return time.strftime(style, time.localtime(at)) if isinstance(at, int | float) and 0 < at < 1e11 else "?"


def _format_record(value: object) -> str:
    import json

    return one_line(value if isinstance(value, str) else json.dumps(value))
