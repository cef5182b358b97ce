"""Takes what an agent has published off its room before it deletes that.

livekit's native library keeps for ever what is published in a room that the server ends, with a thread each that wakes
up a hundred times a second (livekit/rust-sdks, issue 1443). Where somebody else deletes the room, nothing can be done
before; see `openrtc.speedups.stranded_sources`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable

from livekit import api, rtc
from livekit.agents import get_job_context
from livekit.api.room_service import RoomService
from livekit.protocol import models
from livekit.protocol.room import DeleteRoomRequest, DeleteRoomResponse

from openrtc.session.joined_rooms import list_joined_rooms

UNPUBLISH_SECONDS = 1.0
"""How long a deletion waits for that at most: it takes some hundredths of a second."""

ABANDON_SECONDS = 5.0
"""How long the agents of a call may take to leave the room, before it is deleted all the same."""

GONE_LOOK_SECONDS = 0.2
"""Between two looks at whether they have."""


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


async def delete_abandoned_room(
    server: api.LiveKitAPI, room: str, is_own: Callable[[str], bool] = lambda _: False
) -> None:
    """Delete the room of a call that was ended, once its agents have left it; not where there is an agent of another.

    Args:
        server: The LiveKit server.
        room: The room's name.
        is_own: Returns whether an identity is that of an agent of the call, which may still be there.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + ABANDON_SECONDS
    while True:
        there = (await server.room.list_participants(api.ListParticipantsRequest(room=room))).participants
        agents = [one.identity for one in there if one.kind == models.ParticipantInfo.AGENT]
        if not all(map(is_own, agents)):
            return
        if not agents or loop.time() >= until:
            break
        await asyncio.sleep(GONE_LOOK_SECONDS)
    await server.room.delete_room(api.DeleteRoomRequest(room=room))
