"""Looks after the join of a job in a thread or process of its own, as the coroutine pool does for its jobs.

A job may wait for its process longer than its caller waits for the agent. Whoever joins a deleted room makes it anew,
and automatic dispatch sends another agent there: both would sit in it alone.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from livekit import api, rtc
from livekit.agents import JobContext

from openrtc.errors import one_line
from openrtc.worker.coroutine_pool import ALONE_SECONDS
from openrtc.worker.shielded_connect import shield_connect

logger = logging.getLogger("openrtc.worker")


def shield_apart(context: JobContext) -> None:
    """Shield the job's connect, unless the pool has done so; a room made anew is deleted when nobody comes."""
    if context.is_fake_job() or "connect" in vars(context.room):
        return

    def made_anew(sid: str) -> None:
        emptying = asyncio.create_task(_delete_if_nobody_comes(context), name="leave-new-room")

        async def wait(reason: str) -> None:
            await emptying

        context.add_shutdown_callback(wait)

    shield_connect(context.room, context.job.room.sid, made_anew)


async def _delete_if_nobody_comes(context: JobContext) -> None:
    room: Any = context.api.room
    name = context.job.room.name
    await asyncio.sleep(ALONE_SECONDS)
    try:
        found = await room.list_participants(api.ListParticipantsRequest(room=name))
        if all(one.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT for one in found.participants):
            await room.delete_room(api.DeleteRoomRequest(room=name))
    except Exception as error:
        logger.debug("room %r is gone already: %s", name, one_line(str(error)))
