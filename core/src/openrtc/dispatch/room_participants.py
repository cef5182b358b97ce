"""Asks a LiveKit server who is in a room: hidden ones too, and those of whom it tells the others late."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from openrtc.dispatch.connection import LiveKitConnection, open_api
from openrtc.errors import one_line, summarize_error
from openrtc.settings.config import WorkerSettings

if TYPE_CHECKING:
    from livekit import api

logger = logging.getLogger("openrtc.worker")

LIST_SECONDS = 1.5
"""How long the server may take to say it."""


async def list_participants(room: str, worker: WorkerSettings) -> Sequence[api.ParticipantInfo]:
    """Return who is in a room; nobody where the server does not say so in `LIST_SECONDS`.

    Args:
        room: The room's name.
        worker: Where the server is.
    """
    from livekit import api

    request = api.ListParticipantsRequest(room=room)
    try:
        async with asyncio.timeout(LIST_SECONDS), open_api(LiveKitConnection.of(worker)) as server:
            return (await server.room.list_participants(request)).participants
    except Exception as error:  # whatever it is, such as a room that is gone: nobody can be told to be there
        logger.debug("room %r: who is in it cannot be told: %s", room, one_line(summarize_error(error)))
        return ()
