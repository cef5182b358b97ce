"""Dispatches: ask for an agent in a room, and look at what was asked for.

Only what a `Dispatch` has is taken from the server's answers: they also carry secrets, such as the room's
``turn_password``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from openrtc.dispatch.agent_request import AgentRequest, build_room_dispatches, find_requested_agent
from openrtc.dispatch.connection import LiveKitConnection, open_api
from openrtc.dispatch.marks import MARK_ATTRIBUTE, is_marked
from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from livekit import api


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchJob:
    """A job that a worker has taken for a dispatch.

    Args:
        id: LiveKit's id of the job.
        state: ``pending``, ``running``, ``success``, ``failed`` or ``cancelled``, as the server last heard.
        identity: Identity of the agent's participant.
        worker_id: LiveKit's id of the worker.
        error: What went wrong, if anything.
    """

    id: str
    state: str
    identity: str = ""
    worker_id: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """A request for an agent in a room, as the server holds it.

    Args:
        id: LiveKit's id of the dispatch.
        room: Name of the room.
        agent_name: The name under which the worker is registered; empty for automatic dispatch.
        agent: The agent that was asked for; empty where the routing chooses it.
        metadata: Metadata of the job.
        attributes: Attributes of the job.
        created_at: When it was made, in seconds since the epoch.
        jobs: The jobs that workers have taken for it; none as long as nobody has.
        signed: Whether it carries a mark of this API secret, as ``[routing] signed`` wants it.
    """

    id: str
    room: str
    agent_name: str = ""
    agent: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    created_at: float = 0.0
    jobs: tuple[DispatchJob, ...] = ()
    signed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the dispatch as JSON-ready values."""
        return asdict(self) | {"attributes": dict(self.attributes), "jobs": [asdict(job) for job in self.jobs]}


async def create_dispatch(
    room: str,
    agent: str = "",
    *,
    metadata: str = "",
    attributes: Mapping[str, str] | None = None,
    connection: LiveKitConnection | None = None,
) -> Dispatch:
    """Ask for an agent in a room, which is made when it does not exist.

    A room that is made gets this agent alone: not the one that automatic dispatch would send to a new room as well.

    Args:
        room: Name of the room.
        agent: Name of the agent; empty leaves the choice to the worker's routing.
        metadata: Metadata of the job.
        attributes: Attributes of the job.
        connection: The server and the name of its workers; by default those of the settings.

    Returns:
        The dispatch. Whether a worker takes it is known only later: see `wait_for_agent`.

    Raises:
        OpenRTCError: The server cannot be reached, or refuses.
    """
    connection = connection or LiveKitConnection.from_settings()
    asked = AgentRequest(agent=agent, metadata=metadata, attributes=attributes or {})
    (request,) = build_room_dispatches([asked], connection, room=room)
    async with open_api(connection) as livekit:
        created = await _create_room_with_agent(livekit, room, request) or await _add_agent(livekit, room, request)
    return _read_dispatch(created, connection)


async def list_dispatches(room: str, *, connection: LiveKitConnection | None = None) -> tuple[Dispatch, ...]:
    """Return all dispatches of a room, oldest first; none where there is no such room.

    Raises:
        OpenRTCError: The server cannot be reached, or refuses.
    """
    connection = connection or LiveKitConnection.from_settings()
    async with open_api(connection) as livekit:
        found = await _list_room_dispatches(livekit, room)
    return tuple(sorted((_read_dispatch(one, connection) for one in found), key=lambda one: (one.created_at, one.id)))


async def get_dispatch(room: str, dispatch_id: str, *, connection: LiveKitConnection | None = None) -> Dispatch | None:
    """Return a dispatch, None where the room has none with this id.

    Raises:
        OpenRTCError: The server cannot be reached, or refuses.
    """
    found = await list_dispatches(room, connection=connection)
    return next((one for one in found if one.id == dispatch_id), None)


async def delete_dispatch(room: str, dispatch_id: str, *, connection: LiveKitConnection | None = None) -> None:
    """Delete a dispatch: its agent leaves the room.

    Raises:
        OpenRTCError: There is no such dispatch, or the server cannot be reached or refuses.
    """
    connection = connection or LiveKitConnection.from_settings()
    if await get_dispatch(room, dispatch_id, connection=connection) is None:
        raise OpenRTCError(f"room {room!r} has no dispatch {dispatch_id!r}", fix=f"see openrtc dispatch list {room}")
    async with open_api(connection) as livekit:
        await livekit.agent_dispatch.delete_dispatch(dispatch_id, room)


async def room_exists(room: str, *, connection: LiveKitConnection | None = None) -> bool:
    """Return whether a room is there.

    Raises:
        OpenRTCError: The server cannot be reached, or refuses.
    """
    async with open_api(connection or LiveKitConnection.from_settings()) as livekit:
        return await _is_room(livekit, room)


async def _create_room_with_agent(
    livekit: api.LiveKitAPI, room: str, request: api.RoomAgentDispatch
) -> api.AgentDispatch | None:
    """Create the room with its agent; None where the room was there before."""
    from livekit import api

    if await _is_room(livekit, room):
        return None
    await livekit.room.create_room(api.CreateRoomRequest(name=room, agents=[request]))
    # The answer is the room alone; its dispatch is known by being like the request.
    return next((one for one in await _list_room_dispatches(livekit, room) if _is_same_request(one, request)), None)


async def _add_agent(livekit: api.LiveKitAPI, room: str, request: api.RoomAgentDispatch) -> api.AgentDispatch:
    from livekit import api

    return await livekit.agent_dispatch.create_dispatch(
        api.CreateAgentDispatchRequest(
            room=room, agent_name=request.agent_name, metadata=request.metadata, attributes=request.attributes
        )
    )


async def _list_room_dispatches(livekit: api.LiveKitAPI, room: str) -> list[api.AgentDispatch]:
    # For a room that is not there, the server would wait three seconds before it says so.
    return await livekit.agent_dispatch.list_dispatch(room) if await _is_room(livekit, room) else []


async def _is_room(livekit: api.LiveKitAPI, room: str) -> bool:
    from livekit import api

    return bool((await livekit.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms)


def _is_same_request(dispatch: api.AgentDispatch, request: api.RoomAgentDispatch) -> bool:
    same_name = dispatch.agent_name == request.agent_name
    return same_name and dispatch.metadata == request.metadata and dict(dispatch.attributes) == dict(request.attributes)


def _read_dispatch(dispatch: api.AgentDispatch, connection: LiveKitConnection) -> Dispatch:
    return Dispatch(
        id=dispatch.id,
        room=dispatch.room,
        agent_name=dispatch.agent_name,
        agent=find_requested_agent(dispatch, connection.names),
        metadata=dispatch.metadata,
        attributes={key: value for key, value in dispatch.attributes.items() if key != MARK_ATTRIBUTE},
        created_at=dispatch.state.created_at / 1e9,
        jobs=tuple(_read_job(job) for job in dispatch.state.jobs),
        signed=is_marked(dispatch, connection.api_secret),
    )


def _read_job(job: api.Job) -> DispatchJob:
    from livekit import api

    state = job.state
    return DispatchJob(
        id=job.id,
        state=api.JobStatus.Name(state.status).removeprefix("JS_").lower(),
        identity=state.participant_identity,
        worker_id=state.worker_id,
        error=state.error,
    )
