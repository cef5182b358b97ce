"""Takes what an agent has published off its room before it deletes that.

livekit's native library keeps for ever what is published in a room that the server ends, with a thread each that wakes
up a hundred times a second (livekit/rust-sdks, issue 1443). Where somebody else deletes the room, nothing can be done
before; see `openrtc.speedups.stranded_sources`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable

from livekit import rtc
from livekit.agents import get_job_context
from livekit.api.room_service import RoomService
from livekit.protocol.room import DeleteRoomRequest, DeleteRoomResponse

from openrtc.session.joined_rooms import list_joined_rooms

UNPUBLISH_SECONDS = 1.0
"""How long a deletion waits for that at most: it takes some hundredths of a second."""


def unpublish_before_deletion() -> None:
    """From now on, unpublish what a call has in a room before its code deletes that; done once for the process."""
    if hasattr(RoomService.delete_room, "__wrapped__"):
        return
    delete_room = RoomService.delete_room

    @functools.wraps(delete_room)
    async def delete_unpublished(self: RoomService, delete: DeleteRoomRequest) -> DeleteRoomResponse:
        context = get_job_context(required=False)
        if context is not None:
            await _unpublish(room for room in list_joined_rooms(context.job.id) if room.name == delete.room)
        return await delete_room(self, delete)

    RoomService.delete_room = delete_unpublished  # type: ignore[method-assign]  # JobContext.delete_room calls it, too


async def _unpublish(rooms: Iterable[rtc.Room]) -> None:
    participants = [room.local_participant for room in rooms]
    unpublishing = [one.unpublish_track(sid) for one in participants for sid in list(one.track_publications)]
    if unpublishing:
        # Nobody needs to know what could not be unpublished, nor waits for it: the room is deleted anyway.
        everything = asyncio.gather(*unpublishing, return_exceptions=True)
        await asyncio.wait({everything}, timeout=UNPUBLISH_SECONDS)
