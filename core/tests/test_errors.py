"""Odd names and texts, wherever they are shown: none does anything to a terminal, makes a line, or fills a screen."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openrtc.cli.call_screen import CallScreen
from openrtc.cli.calls_screen import describe_in_line, print_call, print_calls
from openrtc.cli.output import print_fixes, print_warning, say
from openrtc.cli.route import _print as print_route
from openrtc.cli.safe_console import SafeConsole
from openrtc.cli.table import TextTable
from openrtc.cli.top_screen import build_screen
from openrtc.conversation.console.chat_screen import ChatScreen
from openrtc.conversation.demo.demo_report import DemoReport
from openrtc.conversation.session_events import Failed, HandedOver, ToolUsed
from openrtc.errors import LONGEST_SHOWN, MOST_MARKS, OpenRTCError, escape, one_line, summarize_error
from openrtc.model.decision import Decision, TraceLine
from openrtc.observe.events import CallEnded, CallRejected, CallRouted, CallStarted, ToolCalled, TurnCompleted
from openrtc.observe.jsonl import JsonlFile
from openrtc.observe.logs import JsonLines, TextLines
from openrtc.observe.past_calls import collect_calls
from openrtc.observe.prometheus import PrometheusMetrics
from openrtc.observe.words import FULL, Words

MIDDLES = [
    *map(chr, [*range(32), *range(0x7F, 0xA1), 0xAD]),  # the controls of ASCII and of its second half, soft hyphen
    *map(chr, [0x61C, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F)]),
    *map(chr, [0x2060, *range(0x2066, 0x206A), 0xFEFF, 0xFFF9, 0xFFFE, 0xD800, 0xDFFF, 0xE000, 0xE0001, 0x10FFFF]),
    "\x1b[2J\x1b[H",
    "\x1b[31m",
    "\x1b]0;owned\x07",
    "\x1b]8;;http://evil.test\x1b\\link\x1b]8;;\x1b\\",
    "\x1bP+q544e\x1b\\",
    "\r\x1b[Kopenrtc: all is well",
    "\n12:00:00 ERROR   openrtc.worker: forged  agent=admin",
    '"}\n{"event": "call_ended", "job_id": "J1"}',
    "[red]",
    "[/red][bold",
    "[link=http://evil.test]",
    "%s%n{0}{x!r}",
    "a" + "\u0301" * 500,
    "\u0e33" * 50 + "\u20dd" * 50,
    "z" * 61_440,
    "\U0001f600" * 20_000,
    "\u05d0\u05d1\u05d2",
    "'; rm -rf ~ #$(id)`id`",
]
TEXTS = [f"q{middle}w" for middle in MIDDLES]
PARTS = [TEXTS[start::4] for start in range(4)]
"""Each test goes through a part after the other, so that what fails is near."""

FLOOD = re.compile(f"[\u0300-\u036f\u20dd]{{{MOST_MARKS + 1}}}")
STYLES = re.compile("\x1b\\[[0-9;]*m")
"""What our own colours write."""


def check(shown: str, *, lines: int, colours: bool = False) -> None:
    """Check that something can be shown in a terminal."""
    plain = STYLES.sub("", shown) if colours else shown
    assert all(c.isprintable() or c == "\n" for c in plain), ascii(plain[:300])
    found = plain.rstrip("\n").count("\n") + 1
    longest = max(map(len, plain.split("\n")))
    assert found <= lines and longest < 45_000, (found, longest, ascii(plain[:2000]))
    assert not FLOOD.search(plain)
    plain.encode()


def every(text: str) -> list[Any]:
    """Return the events of a call in which everything is called so."""
    call: dict[str, Any] = {"job_id": "J1", "room": text, "agent": "desk"}
    return [
        CallRouted(**call, rule=text, reason=text, ms=1.0, distribution=text),
        CallStarted(**call, setup_seconds=0.1, identity=text),
        ToolCalled(**call, name=text, arguments=text, result=text, seconds=0.1),
        ToolCalled(**call, name=text, arguments=text, error=text, failed=True, seconds=0.1),
        TurnCompleted(**call, heard=text, said=text, member=text),
        CallRejected(**call, cause="routing", reason=text),
        CallEnded(**call, reason=text, seconds=1.0),
    ]


def draw(show: Callable[[SafeConsole], object], *, colours: bool = True) -> str:
    written = io.StringIO()
    show(SafeConsole(file=written, force_terminal=colours, width=120, highlight=False, emoji=False))
    return written.getvalue()


@pytest.mark.parametrize("texts", PARTS)
def test_a_line_is_a_line(
    texts: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    for text in texts:
        for shown in (one_line(text), escape(text), str(OpenRTCError(text, origin=text, fix=text))):
            check(shown, lines=1)
        check(summarize_error(ValueError(text)), lines=1)
        say(f"room {text}")
        print_warning(text)
        print_fixes([{"name": text, "state": "broken", "reason": text, "fix": text, "location": text}])
        table = TextTable("A", "B")
        table.add(text, text)
        table.print()
        out, err = capsys.readouterr()
        check(out, lines=90)
        check(err, lines=1)
    assert len({escape(text) for text in texts}) == len(texts), "what differs can be told apart"


@pytest.mark.parametrize("texts", PARTS)
def test_a_log_line_is_a_log_line(texts: list[str], tmp_path: Path) -> None:
    for text in texts:
        try:
            raise LookupError(text)
        except LookupError:
            error: Any = sys.exc_info()
        record = logging.LogRecord(text, logging.INFO, "x.py", 1, "%s", (text,), error)
        record.room, record.job_id = text, text
        shown = TextLines().format(record)
        own = [line for line in shown.split("\n") if not line.startswith("    ")]
        assert len(own) == 1, "what follows a line stands apart"
        check(shown.replace("\t", " "), lines=15)
        line = JsonLines().format(record)
        assert line.isprintable() or "\x7f" in line
        assert max(len(value) for value in json.loads(line).values()) <= LONGEST_SHOWN
    path = tmp_path / "events.jsonl"
    sink = JsonlFile(path, Words(FULL))
    events = [event for text in texts for event in every(text[:3000])]
    for event in events:
        sink(event)
    sink.close()
    written = path.read_bytes().decode().split("\n")
    assert [json.loads(one)["room"] for one in written[:-1]] == [event.room for event in events]
    assert all(line.isprintable() for line in written)


@pytest.mark.parametrize("texts", PARTS)
def test_what_calls_say_is_shown_as_it_can_be(
    texts: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    metrics = PrometheusMetrics(list)
    for text in texts:
        events = every(text)
        for event in events:
            metrics(event)
        written = [event.to_json() for event in events]
        (call,) = collect_calls(written).values()
        print_calls([call], 1)
        print_call(call, written)
        for event in written:
            say(describe_in_line(event, of_one=False))
        out = capsys.readouterr().out
        check(out, lines=60)
        check(draw(lambda out: [CallScreen(out, Words(FULL))(one) for one in events]), lines=24, colours=True)  # noqa: B023
    assert metrics.render().decode().count("\n") < 4000


@pytest.mark.parametrize("texts", PARTS)
def test_screens_keep_their_shape(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def show_chat(out: SafeConsole, text: str) -> None:
        terminal: Any = SimpleNamespace(on_terminal=False, without_prompt=contextlib.nullcontext)
        screen = ChatScreen("desk", terminal, out)
        screen.show_question(one_line(text))
        screen.add_words(text)
        screen.end_words()
        for event in (ToolUsed(text, text, one_line(text), True), HandedOver(one_line(text)), Failed(one_line(text))):
            screen.show_event(event)

    def show_demo(out: SafeConsole, text: str) -> None:
        report = DemoReport(out)
        report.show_left_out("desk", text)
        report.show_log(text)
        report.show_failures([("desk", text)])

    for text in (one[:600] for one in texts):
        call: dict[str, Any] = dict.fromkeys(
            ("job_id", "room", "agent", "distribution", "rule", "last_heard", "last_said"), text
        )
        call |= dict.fromkeys(("age_seconds", "turns", "errors", "blocked_ms"), 0)
        call |= {"state": "live", "last_latency_seconds": None, "cpu_share": None}
        worker: dict[str, Any] = dict.fromkeys(("isolation", "agent_name"), text)
        worker |= dict.fromkeys(("uptime_seconds", "sessions", "loop_lag_ms", "memory_mb", "served", "failed"), 0)
        worker |= {"pid": 1, "state": "ready", "max_sessions": 1, "load": 0, "load_limit": 1, "rejects": {}}
        worker |= {"calls": [call], "paused": [text], "left_out": {text: text}}
        check(draw(lambda out: out.print(build_screen([worker], 120))), lines=40, colours=True)  # noqa: B023
        check(draw(lambda out: show_chat(out, text)), lines=90, colours=True)  # noqa: B023
        check(draw(lambda out: show_demo(out, text)), lines=90, colours=True)  # noqa: B023
        decision = Decision(rejected=one_line(text), trace=(TraceLine(text, text, (text,), text),))
        written = io.StringIO()
        monkeypatch.setattr("openrtc.cli.output.build_console", lambda: SafeConsole(file=written, width=1000))  # noqa: B023
        print_route(decision, None)
        check(written.getvalue(), lines=80)


def test_there_are_a_hundred_of_them() -> None:
    assert len(set(TEXTS)) > 100
