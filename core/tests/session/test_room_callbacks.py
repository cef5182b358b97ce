from __future__ import annotations

import logging
from typing import Any

import pytest
from livekit import rtc

from openrtc.session.failure import LoopBroken
from openrtc.session.room_callbacks import contain_callbacks


def raise_it(error: BaseException) -> None:
    raise error


async def test_a_callback_does_not_end_the_task_of_its_room(caplog: pytest.LogCaptureFixture) -> None:
    room = rtc.Room()
    contain_callbacks(room)
    heard: list[Any] = []
    room.on("participant_connected", heard.append)
    room.on("participant_disconnected", lambda one: raise_it(SystemExit(one)))
    room.emit("participant_connected", "ann")
    room.emit("participant_disconnected", "ann")
    assert heard == ["ann"]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "a callback raised SystemExit('ann') at" in record.getMessage()


async def test_a_handler_of_a_stream_does_not_end_the_task_of_its_room(caplog: pytest.LogCaptureFixture) -> None:
    room = rtc.Room()
    contain_callbacks(room)
    room.register_text_stream_handler("notes", lambda reader, identity: raise_it(LoopBroken()))
    room.register_byte_stream_handler("files", lambda reader, identity: raise_it(LoopBroken()))
    room._text_stream_handlers["notes"](None, "ann")  # type: ignore[arg-type]  # as livekit calls it
    room._byte_stream_handlers["files"](None, "ann")  # type: ignore[arg-type]
    assert not caplog.records, "who breaks code off reports it"


async def test_what_livekit_catches_itself_is_left_to_it() -> None:
    room = rtc.Room()
    contain_callbacks(room)
    room.on("participant_connected", lambda one: raise_it(TypeError("theirs")))
    with pytest.raises(TypeError):
        room.emit("participant_connected", "ann")
