"""Keeps what an agent's callback of a room raises from ending the room's own task.

livekit calls them from the task that takes the room's events, and catches `Exception` there. Whatever else ends that
task: nobody hears of a caller who leaves any more, the room cannot be left, and so the call never ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from livekit import rtc

from openrtc.session.containment import ENDS_WORKER
from openrtc.session.failure import LoopBroken, find_failing_line

logger = logging.getLogger("openrtc.worker")


def contain_callbacks(room: rtc.Room) -> None:
    """Let no callback of ``room`` end its task: those of its events, and handlers of its streams.

    Args:
        room: A room to which no agent has added a handler yet.
    """
    register_text, register_bytes = room.register_text_stream_handler, room.register_byte_stream_handler

    def register_contained_text(topic: str, handler: Callable[..., Any]) -> None:
        register_text(topic, contain_callback(handler))

    def register_contained_bytes(topic: str, handler: Callable[..., Any]) -> None:
        register_bytes(topic, contain_callback(handler))

    # On this one room: livekit's own code calls what it finds on it.
    room.emit = contain_callback(room.emit)  # type: ignore[method-assign]
    room.register_text_stream_handler = register_contained_text  # type: ignore[method-assign]
    room.register_byte_stream_handler = register_contained_bytes  # type: ignore[method-assign]


def contain_callback(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does what ``callback`` does, and logs what it raises that would end more than itself."""

    def contained(*args: Any) -> Any:
        try:
            return callback(*args)
        except ENDS_WORKER as error:
            if not isinstance(error, LoopBroken):  # that is reported by whoever raises it
                logger.error("a callback raised %r at %s; the worker goes on", error, find_failing_line(error))
            return None

    return contained
