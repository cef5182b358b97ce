"""Waits until the agent of a dispatch is in its room, and says why when none comes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openrtc.dispatch.connection import LiveKitConnection, livekit_api
from openrtc.dispatch.dispatches import Dispatch, DispatchJob, get_dispatch
from openrtc.dispatch.why_lost import why_lost
from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from livekit import api

PATIENCE = 15.0
_STEP = 0.1


class DispatchLost(OpenRTCError):
    """No agent has come for a dispatch. LiveKit does not offer it again: it is lost, though its API has said yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentJoined:
    """The agent of a dispatch, in its room.

    Args:
        dispatch: The dispatch with its job.
        identity: Identity of the agent's participant.
        name: The name that others see.
        agent: Which agent answers; empty where the worker does not say.
        seconds: How long it took, from the start of the wait.
    """

    dispatch: Dispatch
    identity: str
    name: str
    agent: str
    seconds: float


async def wait_for_agent(
    dispatch: Dispatch, *, seconds: float = PATIENCE, connection: LiveKitConnection | None = None
) -> AgentJoined:
    """Wait until the agent of a dispatch is in its room.

    Args:
        dispatch: What `create_dispatch` returned.
        seconds: How long to wait.
        connection: The server; by default that of the settings.

    Raises:
        DispatchLost: None has come; the message tells why, as far as that can be known from here.
        OpenRTCError: The server cannot be reached, or refuses.
    """
    connection = connection or LiveKitConnection.from_settings()
    began = time.monotonic()
    seen = dispatch
    while time.monotonic() - began < seconds:
        found = await get_dispatch(dispatch.room, dispatch.id, connection=connection)
        if found is None:
            raise DispatchLost(f"dispatch {dispatch.id} is gone: somebody has deleted it or its room")
        seen = found
        for job in seen.jobs:
            if participant := await _participant(dispatch.room, job, connection):
                return _joined(seen, participant, time.monotonic() - began)
        await asyncio.sleep(_STEP)
    message, fix = await asyncio.to_thread(why_lost, seen, connection, seconds)
    raise DispatchLost(message, fix=fix)


async def _participant(room: str, job: DispatchJob, connection: LiveKitConnection) -> api.ParticipantInfo | None:
    """Return the agent when it is in the room for good."""
    from livekit import api

    if not job.identity:
        return None
    try:
        async with livekit_api(connection, accept=("not_found",)) as livekit:
            request = api.RoomParticipantIdentity(room=room, identity=job.identity)
            found = await livekit.room.get_participant(request)
    except api.TwirpError:
        return None
    return found if found.state == api.ParticipantInfo.State.ACTIVE else None


def _joined(dispatch: Dispatch, participant: api.ParticipantInfo, seconds: float) -> AgentJoined:
    return AgentJoined(
        dispatch=dispatch,
        identity=participant.identity,
        name=participant.name,
        agent=participant.attributes.get("lk.agent.name", ""),
        seconds=seconds,
    )
