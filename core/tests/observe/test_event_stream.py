from __future__ import annotations

import logging

import pytest

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import EVENTS, CallStarted, Event, WorkerStopped


def test_every_sink_gets_every_event_until_it_unsubscribes() -> None:
    stream, first, second = EventStream(), list[Event](), list[Event]()
    stop = stream.subscribe(first.append)
    stream.subscribe(second.append)
    one, two = WorkerStopped(served=1), WorkerStopped(served=2)
    stream.emit(one)
    stop()
    stream.emit(two)
    assert first == [one]
    assert second == [one, two]


def test_a_sink_that_raises_is_taken_off_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    stream, kept = EventStream(), list[Event]()

    def full_disk(event: Event) -> None:
        raise OSError("no space left on device")

    stream.subscribe(full_disk)
    stream.subscribe(kept.append)
    for served in (1, 2):
        stream.emit(WorkerStopped(served=served))
    assert len(kept) == 2
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR] == [
        "an event sink is switched off: OSError: no space left on device"
    ]


def test_an_event_is_a_flat_json_object_that_begins_with_its_kind() -> None:
    event = CallStarted(job_id="J", room="r", agent="a", distribution="d", setup_seconds=0.5, time=1.0, pid=7)
    assert list(event.to_json().items()) == [
        ("event", "call_started"),
        ("time", 1.0),
        ("pid", 7),
        ("job_id", "J"),
        ("room", "r"),
        ("agent", "a"),
        ("distribution", "d"),
        ("setup_seconds", 0.5),
        ("identity", ""),
    ]


def test_kinds_are_unique() -> None:
    assert len({kind.kind() for kind in EVENTS}) == len(EVENTS)
