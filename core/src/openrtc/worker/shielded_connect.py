"""Makes the connect of a LiveKit room safe to cancel.

A cancelled ``rtc.Room.connect`` drops the native library's answer; the library then panics and ends the whole process
about 15 seconds later. livekit-agents itself cancels it, for example when a room is deleted while an agent joins.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from livekit import rtc

logger = logging.getLogger("openrtc.worker")

_leaving: set[asyncio.Task[None]] = set()


def shield_connect(room: rtc.Room) -> None:
    """Let ``room.connect`` finish in the background when its caller is cancelled, and leave the room then."""
    connect = room.connect

    async def shielded(*args: Any, **kwargs: Any) -> None:
        attempt = asyncio.ensure_future(connect(*args, **kwargs))
        try:
            await asyncio.shield(attempt)
        except asyncio.CancelledError:
            task = asyncio.create_task(_leave_when_connected(room, attempt), name="leave-cancelled-room")
            _leaving.add(task)
            task.add_done_callback(_leaving.discard)
            raise

    room.connect = shielded  # type: ignore[method-assign]


async def wait_until_left(limit: float) -> None:
    """Wait until the rooms are left whose connect was cancelled.

    Args:
        limit: Seconds to wait at most.
    """
    if _leaving:
        await asyncio.wait(set(_leaving), timeout=limit)


async def _leave_when_connected(room: rtc.Room, attempt: asyncio.Future[None]) -> None:
    try:
        await attempt
        await room.disconnect()
    except Exception as error:
        logger.debug("a cancelled connect ended with: %s", error)
