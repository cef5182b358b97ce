"""Waits until the agent of a dispatch is in its room, and says why when none comes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openrtc.dispatch.connection import LiveKitConnection, livekit_api
from openrtc.dispatch.dispatches import Dispatch, list_dispatches
from openrtc.dispatch.why_lost import why_lost
from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from livekit import api

PATIENCE = 15.0
_STEP = 0.1
_CLOCK_STEP = 0.001

_WORKER_NAME, _AGENT = "lk.agent_name", "lk.agent.name"
"""Attributes of an agent's participant: LiveKit's own says the worker's name, the other one is OpenRTC's."""


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
        found = await list_dispatches(dispatch.room, connection=connection)
        if dispatch.id not in {one.id for one in found}:
            raise DispatchLost(f"dispatch {dispatch.id} is gone: somebody has deleted it or its room")
        seen = next(one for one in found if one.id == dispatch.id)
        others = {job.identity for one in found if one is not seen for job in one.jobs}
        for participant in await _agents_in(dispatch.room, connection):
            if participant.identity not in others and _answers(participant, seen):
                return _joined(seen, participant, time.monotonic() - began)
        await asyncio.sleep(_STEP)
    message, fix = await asyncio.to_thread(why_lost, seen, connection, seconds)
    raise DispatchLost(message, fix=fix)


async def _agents_in(room: str, connection: LiveKitConnection) -> list[api.ParticipantInfo]:
    """Return the agents that are in the room for good."""
    from livekit import api

    try:
        async with livekit_api(connection, accept=("not_found",)) as livekit:
            found = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
    except api.TwirpError:
        return []
    here = [one for one in found.participants if one.state == api.ParticipantInfo.State.ACTIVE]
    return [one for one in here if one.kind == api.ParticipantInfo.Kind.AGENT]


def _answers(participant: api.ParticipantInfo, dispatch: Dispatch) -> bool:
    """Whether an agent has come for a dispatch: its job says so, or, since jobs are told up to 5 s late, its marks."""
    if dispatch.jobs:
        return participant.identity in {job.identity for job in dispatch.jobs}
    marks = participant.attributes
    same_name = marks.get(_WORKER_NAME, "") == dispatch.agent_name
    same_agent = dispatch.agent in ("", marks.get(_AGENT, dispatch.agent))
    return same_name and same_agent and participant.joined_at_ms >= (dispatch.created_at - _CLOCK_STEP) * 1000


def _joined(dispatch: Dispatch, participant: api.ParticipantInfo, seconds: float) -> AgentJoined:
    return AgentJoined(
        dispatch=dispatch,
        identity=participant.identity,
        name=participant.name,
        agent=participant.attributes.get(_AGENT, ""),
        seconds=seconds,
    )
