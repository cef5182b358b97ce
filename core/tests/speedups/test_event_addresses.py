"""A listener's test of events gives the one address that passes it, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from livekit.rtc._proto.ffi_pb2 import FfiEvent

from openrtc.speedups.event_addresses import ANY_ID, Address, AddressFinder

FINDER = AddressFinder(FfiEvent)
IDS = FINDER._ids
ANSWERS = sorted(kind for kind, field in IDS.items() if field == "async_id")


def learned(test: Callable[[Any], Any]) -> Address | None:
    return FINDER.find_of_test(test)


@pytest.mark.parametrize("kind", ANSWERS)
def test_who_waits_for_an_answer_names_its_request(kind: str) -> None:
    wanted = 7
    assert learned(lambda e: getattr(e, kind).async_id == wanted) == Address(kind, 7)


def test_a_stream_names_itself() -> None:
    assert learned(lambda e: e.audio_stream_event.stream_handle == 5) == Address("audio_stream_event", 5)
    assert learned(
        lambda e: (
            e.WhichOneof("message") == "text_stream_reader_event" and e.text_stream_reader_event.reader_handle == 3
        )
    ) == Address("text_stream_reader_event", 3)


def test_the_same_test_names_another_request_each_time() -> None:
    def waiting_for(request: int) -> Address | None:
        return learned(lambda e: e.capture_audio_frame.async_id == request)

    assert [waiting_for(request) for request in (1, 2, 0, 3)] == [
        Address("capture_audio_frame", 1),
        Address("capture_audio_frame", 2),
        None,
        Address("capture_audio_frame", 3),
    ]


@pytest.mark.parametrize(
    "test",
    [
        lambda e: True,
        lambda e: e.WhichOneof("message") == "audio_stream_event",
        lambda e: e.WhichOneof("message") not in ("audio_stream_event", "video_stream_event"),
        lambda e: e.publish_data.async_id == 7 or e.connect.async_id == 7,
        lambda e: e.publish_data.async_id == 7 or e.WhichOneof("message") == "room_event",
        lambda e: e.publish_data.async_id == 7 or e.publish_data.error,
        lambda e: e.publish_data.async_id != 7,
        lambda e: e.publish_data.async_id > 7,
        lambda e: e.publish_data.async_id == 0,
        lambda e: e.publish_data.async_id in (7, 8),
        lambda e: e.publish_data.error == "7",
        lambda e: e.nonsense.async_id == 7,
        lambda e: 1 / 0,
    ],
)
def test_a_test_that_others_may_pass_too_has_no_address(test: Callable[[Any], Any]) -> None:
    assert learned(test) is None


@pytest.mark.parametrize("kind", sorted(IDS))
def test_an_event_of_each_kind_is_for_what_its_id_says(kind: str) -> None:
    event = FfiEvent()
    if IDS[kind]:
        setattr(getattr(event, kind), IDS[kind], 9)
    else:
        getattr(event, kind).SetInParent()
    assert FINDER.find_of_event(event) == Address(kind, 9 if IDS[kind] else ANY_ID)


def test_an_event_of_no_kind_is_for_nobody() -> None:
    assert FINDER.find_of_event(FfiEvent()) == Address("", ANY_ID)
