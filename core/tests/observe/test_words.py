from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from openrtc.observe.call_lines import CallLines
from openrtc.observe.events import CallError, Event, MemberLeft, PluginFailed, ToolCalled, TurnCompleted
from openrtc.observe.logs import JsonLines
from openrtc.observe.words import Words, use_words_in_log
from openrtc.settings.config import ObserveSettings

CALL: dict[str, Any] = {"job_id": "AJ_1", "room": "r", "agent": "support", "distribution": "my-support-agent"}
TURN = TurnCompleted(**CALL, heard="order 4711", said="it is 4711", latency_seconds=0.5)
TOOL = ToolCalled(**CALL, name="find", arguments='{"number": 4711}', result="4711 is on its way", seconds=0.1)
ERROR = CallError(**CALL, where="tool", error="ValueError: no order 4711", place="agent.py:7")


def redact(text: str) -> str | None:
    return None if "unreadable" in text else text.replace("4711", "#")


MODES = {mode: Words(mode, redact) for mode in ("none", "redacted", "full")}


@pytest.fixture(autouse=True)
def restored_log() -> Iterator[None]:
    yield
    use_words_in_log(Words())


@pytest.mark.parametrize(
    ("event", "mode", "expected"),
    [
        (TURN, "none", {"heard": None, "said": None, "latency_seconds": 0.5}),
        (TURN, "redacted", {"heard": "order #", "said": "it is #"}),
        (TURN, "full", {"heard": "order 4711", "said": "it is 4711"}),
        (TOOL, "none", {"name": "find", "arguments": None, "result": None, "error": None, "failed": False}),
        (TOOL, "redacted", {"arguments": '{"number": #}', "result": "# is on its way", "error": ""}),
        (ERROR, "none", {"error": "ValueError", "place": "agent.py:7"}),
        (ERROR, "redacted", {"error": "ValueError: no order #"}),
        (ERROR, "full", {"error": "ValueError: no order 4711"}),
        (CallError(**CALL, where="llm", error="acme.APIError: unreadable"), "redacted", {"error": "acme.APIError"}),
        (CallError(**CALL, where="turn", error="nothing: 4711 was said"), "none", {"error": "nothing"}),
        (CallError(**CALL, where="task", error="KeyError:"), "none", {"error": "KeyError"}),
        (
            PluginFailed(plugin="p", distribution="d", hook="h", error="KeyError: '4711'"),
            "none",
            {"error": "KeyError", "hook": "h"},
        ),
        (
            MemberLeft(**CALL, member="driver", reason="failed in on_enter: KeyError: '4711'", failed=True),
            "none",
            {"reason": "failed in on_enter"},
        ),
        (
            MemberLeft(**CALL, member="driver", reason="it was removed", failed=False),
            "none",
            {"reason": "it was removed"},
        ),
    ],
)
def test_a_sink_writes_the_words_that_it_may(event: Event, mode: str, expected: dict[str, Any]) -> None:
    written = MODES[mode].describe(event)
    assert {name: written[name] for name in expected} == expected
    assert written.keys() == event.to_json().keys()


def test_what_cannot_be_redacted_is_not_written() -> None:
    assert MODES["redacted"].describe(TurnCompleted(**CALL, heard="unreadable"))["heard"] is None
    assert Words("redacted").describe(TURN)["heard"] is None, "nobody implements openrtc_redact"


@pytest.mark.parametrize(
    ("mode", "turn", "tool"),
    [
        ("redacted", 'heard "order #", said "it is #"', 'find({"number": #}) returned "# is on its way"'),
        ("full", 'heard "order 4711", said "it is 4711"', 'find({"number": 4711}) returned "4711 is on its way"'),
        ("none", "heard …, said …", "find(…) returned …"),
    ],
)
def test_turns_and_tools_are_lines_of_a_log_with_words(
    mode: str, turn: str, tool: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    lines = CallLines(MODES[mode])
    for event in (TURN, TOOL, ERROR):
        lines(event)
    assert caplog.messages == [f"{turn} (0.50 s)", f"tool {tool} after 0.10 s"]
    assert vars(caplog.records[0])["job_id"] == "AJ_1"


@pytest.mark.parametrize(("mode", "text"), [("none", None), ("redacted", "order #"), ("full", "order 4711")])
def test_words_in_livekit_agents_log_lines_follow_the_log(mode: str, text: str | None) -> None:
    use_words_in_log(MODES[mode])
    record = logging.makeLogRecord({"msg": "m", "lk.pii.text": "order 4711", "lk.pii.participant_identity": "ann"})
    line = JsonLines().format(record)
    assert ('"lk.pii.text"' in line) == (text is not None) and (text or "m") in line
    assert '"lk.pii.participant_identity": "ann"' in line


@pytest.mark.parametrize(
    ("words", "terminal", "files", "log", "top"),
    [
        (None, False, "none", "none", "full"),
        (None, True, "none", "full", "full"),
        ("none", True, "none", "none", "none"),
        ("redacted", True, "redacted", "redacted", "redacted"),
        ("full", False, "full", "full", "full"),
    ],
)
def test_without_a_setting_files_and_logs_have_no_words_and_top_and_a_terminal_have_all(
    words: str | None, terminal: bool, files: str, log: str, top: str
) -> None:
    settings = ObserveSettings(words=words, terminal=terminal)
    assert (settings.words_in_files, settings.words_in_log, settings.words_in_top) == (files, log, top)
