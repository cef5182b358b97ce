"""Waits until the agent of a dispatch is in its room, and says why when none comes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openrtc.dispatch.connection import LiveKitConnection, open_api
from openrtc.dispatch.diagnosis import explain_lost_dispatch
from openrtc.dispatch.dispatches import Dispatch, list_dispatches
from openrtc.errors import OpenRTCError
from openrtc.model.dispatch_names import read_answering_agent

if TYPE_CHECKING:
    from livekit import api

WAIT_SECONDS = 15.0
"""How long to wait by default."""

POLL_SECONDS = 0.1  # the server itself takes 0.2 s from a dispatch to a job

CLOCK_STEP = 0.001
"""A participant's time of joining has milliseconds, a dispatch's time of creation nanoseconds."""

_WORKER_NAME_ATTRIBUTE = "lk.agent_name"
"""The attribute of an agent's participant, set by LiveKit itself, that holds the worker's name."""


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
    dispatch: Dispatch, *, seconds: float = WAIT_SECONDS, connection: LiveKitConnection | None = None
) -> AgentJoined:
    """Wait until the agent of a dispatch is in its room.

    Args:
        dispatch: What `create_dispatch` returned.
        seconds: How long to wait.
        connection: The server; by default that of the settings.

    Raises:
        DispatchLost: No agent has come; the message says why, as far as that can be known from here.
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
        for participant in await _list_agents(dispatch.room, connection):
            if participant.identity not in others and _is_answer(participant, seen):
                return AgentJoined(
                    dispatch=seen,
                    identity=participant.identity,
                    name=participant.name,
                    agent=read_answering_agent(participant.attributes),
                    seconds=time.monotonic() - began,
                )
        await asyncio.sleep(POLL_SECONDS)
    message, fix = await asyncio.to_thread(explain_lost_dispatch, seen, connection, seconds)
    raise DispatchLost(message, fix=fix)


async def _list_agents(room: str, connection: LiveKitConnection) -> list[api.ParticipantInfo]:
    """Return the agents that have joined the room; not those that are about to."""
    from livekit import api

    try:
        async with open_api(connection, accept=("not_found",)) as livekit:
            found = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
    except api.TwirpError:
        return []
    here = [one for one in found.participants if one.state == api.ParticipantInfo.State.ACTIVE]
    return [one for one in here if one.kind == api.ParticipantInfo.Kind.AGENT]


def _is_answer(participant: api.ParticipantInfo, dispatch: Dispatch) -> bool:
    """Whether an agent has come for a dispatch."""
    if dispatch.jobs:
        return participant.identity in {job.identity for job in dispatch.jobs}
    # The server lists a dispatch's jobs up to 5 s late; until then the agent's own attributes have to do.
    attributes = participant.attributes
    same_name = attributes.get(_WORKER_NAME_ATTRIBUTE, "") == dispatch.agent_name
    same_agent = dispatch.agent in ("", read_answering_agent(attributes) or dispatch.agent)
    return same_name and same_agent and participant.joined_at_ms >= (dispatch.created_at - CLOCK_STEP) * 1000
