"""What `openrtc dev` prints of calls."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from rich.console import Console

from openrtc.cli.call_screen import CallScreen
from openrtc.observe.events import (
    CallEnded,
    CallEvent,
    CallRejected,
    CallReloaded,
    CallRouted,
    CallStarted,
    ToolCalled,
    TurnCompleted,
    WorkerStopped,
)
from openrtc.observe.logs import configure_logs
from openrtc.observe.words import FULL, NONE, Words

ONE: dict[str, Any] = {"job_id": "J1", "room": "desk-1", "agent": "desk"}
OTHER: dict[str, Any] = {"job_id": "J2", "room": "shop-1", "agent": "shop"}


def show(*events: CallEvent | WorkerStopped, colours: bool = False, words: str = FULL) -> list[str]:
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=colours, highlight=False, _environ={"TERM": "xterm"})
    lines = CallScreen(terminal, Words(words))
    for event in events:
        lines(event)
    return [line.rstrip() for line in written.getvalue().splitlines() if line.strip()]


def test_a_call_that_gets_edited_code_says_so_or_why_not() -> None:
    shown = show(
        CallReloaded(**ONE, ms=44.4),
        CallReloaded(**ONE, ms=30_000.0, reason="nobody was silent for 30 s", member="porter"),
    )
    assert shown[1:] == [
        "  reloaded  new code after 44 ms",
        "  reloaded  porter: not this call: nobody was silent for 30 s",
    ]


def test_a_call_reads_as_its_caller_sees_it() -> None:
    shown = show(
        CallRouted(**ONE, rule="default", reason="nothing else", ms=0.1),
        CallStarted(**ONE, setup_seconds=0.5),
        TurnCompleted(**ONE, said="Hello.", answered=False),
        ToolCalled(**ONE, name="price", arguments='{"of": "tea"}', result="2\neuros", seconds=0.1),
        ToolCalled(**ONE, name="stock", arguments="{}", error="KeyError: 'tea'", failed=True, seconds=0.1),
        TurnCompleted(**ONE, heard="how much is tea", said="Two euros.", latency_seconds=1.234, interrupted=True),
        TurnCompleted(**ONE, heard="anybody there", answered=False),
        CallEnded(**ONE, reason="the caller has left", seconds=12.34),
        WorkerStopped(served=1),
    )
    assert shown == [
        "desk-1 -> desk default: nothing else",
        "  joined    after 0.50 s",
        "  said      Hello.",
        "  heard     how much is tea",
        "  called    price(of='tea') = 2 euros",
        "  called    stock() failed: KeyError: 'tea'",
        "  said      Two euros. (interrupted) (1.23 s)",
        "  heard     anybody there",
        "  silence   no answer",
        "  ended     the caller has left (12.3 s)",
    ]


def test_of_several_calls_each_says_which_it_is() -> None:
    shown = show(
        CallRouted(**ONE, rule="default", reason="", ms=0.1),
        TurnCompleted(**OTHER, said="Hello.", member="tim"),
        TurnCompleted(**OTHER, said="Go on.", member="chris"),
        CallRejected(**ONE, cause="full", reason="all 2 sessions are taken"),
    )
    assert shown == [
        "desk-1 -> desk default:",
        "shop-1 -> shop",
        "  said      tim: Hello.",
        "  said      chris: Go on.",
        "desk-1 -> desk",
        "  rejected  all 2 sessions are taken",
    ]


def test_a_terminal_gets_colours_and_words_that_may_not_be_shown_are_left_out() -> None:
    assert "\x1b[32m" in "".join(show(TurnCompleted(**ONE, said="Hello."), colours=True))
    events = (
        ToolCalled(**ONE, name="price", arguments='{"of": "tea"}', result="2", seconds=0.1),
        TurnCompleted(**ONE, heard="how much", said="Two euros."),
    )
    assert show(*events, words=NONE)[1:] == ["  heard     …", "  called    price(…) = …", "  said      …"]


@pytest.mark.usefixtures("own_log")
def test_the_log_leaves_out_what_is_shown_but_neither_warnings_nor_a_packages_own_lines(
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure_logs("info", "text", without_calls=True)
    for name in ("livekit.agents", "openrtc.routing", "my_agent"):
        logging.getLogger(name).info("info of %s", name, extra={"job_id": "J"})
        logging.getLogger(name).info("start of %s", name)
        logging.getLogger(name).warning("warning of %s", name, extra={"job_id": "J"})
    logged = capfd.readouterr().err
    assert "info of livekit" not in logged and "info of openrtc" not in logged and "info of my_agent" in logged
    assert logged.count("start of") == logged.count("warning of") == 3
