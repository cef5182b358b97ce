"""Contract with livekit-agents: what an avatar tells goes to its own room, though avatars have one identity."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from livekit import rtc
from livekit.agents.voice.avatar import DataStreamAudioOutput, DataStreamAudioReceiver

from openrtc.upstream.avatars import separate_avatars
from openrtc.upstream.digest import find_changes

REGISTER = [
    (DataStreamAudioOutput, "_register_playback_finished_rpc", "lk.playback_finished"),
    (DataStreamAudioOutput, "_register_playback_started_rpc", "lk.playback_started"),
    (DataStreamAudioReceiver, "_register_clear_buffer_rpc", "lk.clear_buffer"),
]


class Participant:
    def __init__(self) -> None:
        self._rpc_handlers: dict[str, Any] = {}

    def register_rpc_method(self, method: str, handler: Any) -> None:
        self._rpc_handlers[method] = handler


class Room:
    def __init__(self) -> None:
        self.local_participant = Participant()

    def call(self, method: str, caller: str) -> Any:
        """Let somebody in this room call a method."""
        data = rtc.RpcInvocationData("1", caller, "{}", 1.0)
        return self.local_participant._rpc_handlers[method](data)


def test_this_code_is_known() -> None:
    assert find_changes("avatars") == {}


@pytest.mark.parametrize(("kind", "register", "method"), REGISTER)
def test_an_avatar_is_answered_by_the_output_of_its_own_room(kind: Any, register: str, method: str) -> None:
    separate_avatars()
    separate_avatars()  # by each worker of a process
    first, second = Room(), Room()
    for name, room in (("first", first), ("second", second)):
        getattr(kind, register)(room, caller_identity="avatar", handler=lambda data, name=name: name)
    getattr(kind, register)(first, caller_identity="another", handler=lambda data: "another")
    assert first.call(method, "avatar") == "first"
    assert second.call(method, "avatar") == "second"
    assert first.call(method, "another") == "another"
    assert second.call(method, "another") == "reject", "it is not in this room"


def test_nothing_of_a_room_is_kept() -> None:
    separate_avatars()
    room = Room()
    seen = weakref.ref(room)
    DataStreamAudioOutput._register_playback_finished_rpc(
        room,  # type: ignore[arg-type]  # a stand-in
        caller_identity="avatar",
        handler=lambda data, room=room: "ok",  # type: ignore[misc]  # as an output holds its room
    )
    del room
    gc.collect()
    assert seen() is None
