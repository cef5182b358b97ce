"""Looks after a join that may come too late.

Whoever joins a deleted room makes it anew, and automatic dispatch sends another agent there, perhaps of another worker:
it would sit in it alone.
"""

from __future__ import annotations

import asyncio
import logging

from livekit import api, rtc
from livekit.agents import JobContext

from openrtc.config import WorkerSettings
from openrtc.errors import one_line
from openrtc.worker.server_api import server_api
from openrtc.worker.shielded_connect import shield_connect

logger = logging.getLogger("openrtc.worker")

ALONE_SECONDS = 5.0
"""How long a room that was made anew waits for somebody to come."""

_emptying: set[asyncio.Task[None]] = set()


def shield_join(room: rtc.Room, context: JobContext, worker: WorkerSettings) -> None:
    """Shield a connect to the room of a job; a room made anew by it is deleted when nobody comes.

    Args:
        room: A room that is not connected yet.
        context: LiveKit's context of the job.
        worker: Where the LiveKit server is.
    """
    if context.is_fake_job():
        return

    def made_anew() -> None:
        emptying = asyncio.create_task(_delete_if_nobody_comes(context.job.room.name, worker), name="leave-new-room")
        _emptying.add(emptying)
        emptying.add_done_callback(_emptying.discard)

        async def wait(reason: str) -> None:
            await emptying

        context.add_shutdown_callback(wait)

    shield_connect(room, context.job.room.sid, made_anew)


async def _delete_if_nobody_comes(name: str, worker: WorkerSettings) -> None:
    await asyncio.sleep(ALONE_SECONDS)
    try:
        async with server_api(worker) as server:
            found = await server.room.list_participants(api.ListParticipantsRequest(room=name))
            if all(one.kind == api.ParticipantInfo.Kind.AGENT for one in found.participants):
                await server.room.delete_room(api.DeleteRoomRequest(room=name))
    except Exception as error:
        logger.debug("room %r is gone already: %s", name, one_line(str(error)))
