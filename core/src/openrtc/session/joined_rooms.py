"""Knows which rooms a call has joined beside its own, so that they can be left when it is over.

In a process of its own, the end of the job ends them. Here a participant would stay in such a room for as long as the
worker lives.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import Any

from livekit import rtc
from livekit.agents import JobContext, get_job_context

from openrtc.session.room_connect import shield_connect

_rooms: dict[str, list[rtc.Room]] = {}
"""Of each call that shares this process, by the id of its job, the rooms that its code has connected to."""


def watch_joined_rooms() -> None:
    """Note from now on which rooms calls join; done once for the process."""
    if hasattr(rtc.Room.connect, "__wrapped__"):
        return
    connect = rtc.Room.connect

    @functools.wraps(connect)
    async def connect_noted(self: rtc.Room, *args: Any, **kwargs: Any) -> None:
        context = get_job_context(required=False)
        rooms = None if context is None else _rooms.get(context.job.id)
        if rooms is None:
            await connect(self, *args, **kwargs)
            return
        if not any(self is room for room in rooms):
            rooms.append(self)
        if "connect" not in vars(self):  # the job's own room, and those of a cast, are shielded already
            shield_connect(self, "", lambda: None)
            await self.connect(*args, **kwargs)
        else:
            await connect(self, *args, **kwargs)

    rtc.Room.connect = connect_noted  # type: ignore[method-assign]  # agents make rooms of this class themselves


def begin_noting_rooms(job_id: str) -> None:
    """Note the rooms that the call of this job joins."""
    _rooms[job_id] = []


def list_joined_rooms(job_id: str) -> list[rtc.Room]:
    """Return the rooms that a call has joined and not left."""
    return [room for room in _rooms.get(job_id, []) if room.isconnected()]


def end_noting_rooms(job_id: str) -> list[rtc.Room]:
    """Return the rooms that a call has joined and not left, and forget them."""
    joined = list_joined_rooms(job_id)
    _rooms.pop(job_id, None)
    return joined


def leave_rooms_at_end(context: JobContext) -> None:
    """Leave the rooms that a call with a thread of its own has joined when it ends; `leftovers` does so for others.

    Args:
        context: LiveKit's context of the job.
    """
    if threading.current_thread() is threading.main_thread():
        return
    job_id = context.job.id
    begin_noting_rooms(job_id)

    async def leave(reason: str) -> None:
        await asyncio.gather(*(room.disconnect() for room in end_noting_rooms(job_id)), return_exceptions=True)

    context.add_shutdown_callback(leave)
