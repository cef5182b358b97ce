"""Makes the connect of a LiveKit room safe to cancel, and leaves a room that was made anew by connecting.

A cancelled ``rtc.Room.connect`` drops the native library's answer; the library then panics and ends the whole process
about 15 seconds later. livekit-agents itself cancels it, for example when a room is deleted while an agent joins.

The native library goes on trying to join such a room, and the LiveKit server makes a room anew for whoever joins: the
agent would sit there alone, with another one that automatic dispatch sends to the new room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from livekit import rtc

logger = logging.getLogger("openrtc.worker")

SID_SECONDS = 2.0
"""The server tells a room's id with the join, or a moment later."""

DISCONNECT_SECONDS = 20
"""The native library takes up to 15 s for a room that was deleted while it joined."""

_leaving: set[asyncio.Future[None]] = set()


class RoomGone(RuntimeError):
    """The room of a job was deleted while the agent joined it."""


def shield_connect(room: rtc.Room, sid: str, made_anew: Callable[[], None]) -> None:
    """Let ``room.connect`` finish in the background when its caller is cancelled, and leave the room then.

    ``room.disconnect`` is waited for only so long, and finishes in the background, too: in a room that is deleted while
    somebody joins, the native library may answer late or never.

    Args:
        room: A room that is not connected yet.
        sid: The server's id of the room that is to be joined; empty when it is not known.
        made_anew: Called when the room was made anew by this connect.
    """
    connect, disconnect = room.connect, room.disconnect

    async def limited_disconnect(*args: Any, **kwargs: Any) -> None:
        leaving = asyncio.ensure_future(disconnect(*args, **kwargs))
        _keep(leaving)
        await asyncio.wait({leaving}, timeout=DISCONNECT_SECONDS)
        if leaving.done():
            leaving.result()
        else:
            logger.warning("room %r was not left within %d s: it is left behind", room.name, DISCONNECT_SECONDS)

    async def shielded(*args: Any, **kwargs: Any) -> None:
        attempt = asyncio.ensure_future(connect(*args, **kwargs))
        try:
            await asyncio.shield(attempt)
        except asyncio.CancelledError:
            _keep(asyncio.create_task(leave_when_connected(attempt), name="leave-cancelled-room"))
            raise
        if await _is_another(room, sid):
            made_anew()
            await room.disconnect()
            raise RoomGone("the room was deleted while the agent joined")

    async def leave_when_connected(attempt: asyncio.Future[None]) -> None:
        try:
            await attempt
            if await _is_another(room, sid):
                made_anew()
            await room.disconnect()
        except Exception as error:
            logger.debug("a cancelled connect ended with: %s", error)

    room.connect = shielded  # type: ignore[method-assign]
    room.disconnect = limited_disconnect  # type: ignore[method-assign]


def _keep(task: asyncio.Future[None]) -> None:
    _leaving.add(task)
    task.add_done_callback(_leaving.discard)


async def wait_until_left(limit: float) -> None:
    """Wait until the rooms are left whose connect was cancelled.

    Args:
        limit: Seconds to wait at most.
    """
    if _leaving:
        await asyncio.wait(set(_leaving), timeout=limit)


async def _is_another(room: rtc.Room, sid: str) -> bool:
    """Whether the room that was joined is not the one with the id ``sid``; False where that is not known."""
    if not sid:
        return False
    try:
        return await asyncio.wait_for(room.sid, SID_SECONDS) != sid
    except TimeoutError:
        return False
