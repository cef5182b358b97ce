from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallEnded, CallStarted, Event, TurnCompleted
from openrtc.runtime.ledger import LARGEST_RECORDS, Ledger
from openrtc.runtime.live_call import LiveCall


class Scene:
    """A call whose events are kept."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        stream = EventStream()
        stream.subscribe(self.events.append)
        self.live = LiveCall(events=stream, job_id="AJ_1", room="r", agent="support", distribution="my-support-agent")

    def end(self) -> CallEnded:
        self.live.emit_ended("done")
        event = self.events[-1]
        assert isinstance(event, CallEnded)
        return event


def test_the_end_of_a_call_has_its_totals() -> None:
    scene = Scene()
    scene.live.ledger.people |= {"ann": None, "bob": None}
    scene.live.emit_started()
    scene.live.emit_turn("", "hello", answered=False)
    scene.live.emit_turn("hi", "how can I help", latency_seconds=0.5)
    scene.live.emit_tool("find", arguments="{}", result="7", error="", seconds=0.1)
    for tokens, seconds in ((10, 0.1), (20, 0.2)):
        counts = {"input_tokens": tokens, "session_duration": seconds}
        scene.live.emit_usage(type="llm_usage", provider="acme", model="a-1", counts=counts, member="")
    scene.live.emit_usage(type="tts_usage", provider="acme", model="a-1", counts={"characters_count": 7}, member="")
    assert isinstance(scene.events[0], CallStarted) and scene.events[0].identity == "ann"
    ended = scene.end()
    assert (ended.people, ended.turns, ended.tool_calls) == (("ann", "bob"), 1, 1)
    assert list(ended.usage) == [
        {"type": "llm_usage", "provider": "acme", "model": "a-1", "input_tokens": 30, "session_duration": 0.1 + 0.2},
        {"type": "tts_usage", "provider": "acme", "model": "a-1", "characters_count": 7},
    ]


def test_long_texts_are_cut() -> None:
    scene = Scene()
    scene.live.emit_turn("a" * 5000, "b" * 5000)
    (turn,) = scene.events
    assert isinstance(turn, TurnCompleted) and turn.heard == "a" * 4000 and turn.said == "b" * 4000


def test_what_is_recorded_stands_under_the_name_of_who_records_it() -> None:
    scene = Scene()
    price = {"usd": [0.25]}
    scene.live.ledger.record("openrtc-cost", "price", price)
    scene.live.ledger.record("openrtc-cost", "calls", 1)
    scene.live.ledger.record("openrtc-cost", "calls", 2)
    scene.live.ledger.record("another", "price", None)
    price["usd"] = []
    assert scene.end().records == {"openrtc-cost": {"price": {"usd": [0.25]}, "calls": 2}, "another": {"price": None}}


class Evil(dict[str, Any]):
    def items(self) -> Any:
        raise SystemError("no")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("", 1, "its key must be"),
        (7, 1, "its key must be"),
        ("a" * 101, 1, "its key must be"),
        ("two\nlines", 1, "its key must be"),
        ("a", {1, 2}, "it cannot be JSON: TypeError"),
        ("a", float("nan"), "it cannot be JSON: ValueError"),
        ("a", Evil(b=1), "it cannot be JSON: SystemError"),
        ("a", "x" * LARGEST_RECORDS, f"more than {LARGEST_RECORDS}"),
    ],
)
def test_what_cannot_be_recorded_is_one_line(key: Any, value: Any, said: str, caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger()
    ledger.record("openrtc-cost", key, value)
    assert not ledger.records
    (line,) = caplog.messages
    assert line.startswith("openrtc-cost: call.record(") and said in line and "\n" not in line


def test_all_records_of_a_call_together_pass_through_the_socket(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger()
    for number in range(100):
        ledger.record(f"plugin-{number}", "text", "x" * 1000)
    assert 20 < len(ledger.records) < 40
    assert len(json.dumps(ledger.records)) <= LARGEST_RECORDS
    ledger.record("plugin-0", "text", "shorter")
    assert ledger.records["plugin-0"] == {"text": "shorter"}


def test_what_is_recorded_after_the_end_is_said_to_be_late(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.end()
    scene.live.ledger.record("openrtc-cost", "price", 1)
    assert "the call is over" in caplog.messages[0]


async def test_the_end_waits_for_what_the_plugins_record_last(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    ran = asyncio.Event()
    scene.live.awaited.append(ran)
    ending = asyncio.create_task(scene.live.emit_ended_when_told("done"))
    await asyncio.sleep(0)
    assert not scene.events and scene.live.ended
    scene.live.ledger.record("openrtc-cost", "price", 1)
    ran.set()
    await ending
    (ended,) = scene.events
    assert isinstance(ended, CallEnded) and ended.records == {"openrtc-cost": {"price": 1}}


async def test_the_end_is_told_where_its_job_is_cut_off() -> None:
    scene = Scene()
    scene.live.awaited.append(asyncio.Event())
    ending = asyncio.create_task(scene.live.emit_ended_when_told("done"))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert [event.kind() for event in scene.events] == ["call_ended"]
