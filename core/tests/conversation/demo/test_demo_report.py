from __future__ import annotations

from openrtc.conversation.demo.call_record import CallRecord
from openrtc.conversation.demo.demo_report import count_most_at_once, draw_timeline


def _call(room: str, began: float, ended: float) -> CallRecord:
    return CallRecord(room, "desk", (), began=began, ended=ended)


def test_calls_that_overlap_are_counted_at_their_most() -> None:
    calls = [_call("a", 100, 110), _call("b", 105, 120), _call("c", 110, 115), _call("d", 119, 130)]
    assert count_most_at_once(calls) == 2


def test_no_call_is_none_at_once() -> None:
    assert count_most_at_once([]) == 0


def test_bars_stand_on_one_axis() -> None:
    first, second = draw_timeline([_call("a", 100, 110), _call("second", 110, 120)], width=51)
    assert first.split() == ["a", "=" * 14, "0.0", "-", "10.0", "s"]
    assert second.index("=") == first.rindex("=") + 1
    assert len(first) == len(second) <= 51
