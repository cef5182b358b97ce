"""Dispatches: ask for an agent in a room, and look at what was asked for.

Only what a `Dispatch` has is taken from the server's answers: they also carry secrets, such as the room's
``turn_password``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from openrtc.dispatch.connection import LiveKitConnection, livekit_api
from openrtc.dispatch.wish import AgentWish
from openrtc.errors import OpenRTCError
from openrtc.worker_names import AGENT_ATTRIBUTE

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
    """A wish for an agent in a room, as the server holds it.

    Args:
        id: LiveKit's id of the dispatch.
        room: Name of the room.
        agent_name: The name under which the worker is registered; empty for automatic dispatch.
        agent: The agent that was asked for; empty where the routing chooses it.
        metadata: Metadata of the job.
        attributes: Attributes of the job.
        created_at: When it was made, in seconds since the epoch.
        jobs: The jobs that workers have taken for it; none as long as nobody has.
    """

    id: str
    room: str
    agent_name: str = ""
    agent: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    created_at: float = 0.0
    jobs: tuple[DispatchJob, ...] = ()

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
    wish = AgentWish(agent=agent, metadata=metadata, attributes=attributes or {}).addressed(connection.names)
    async with livekit_api(connection) as livekit:
        made = await _made_with_the_room(livekit, room, wish) or await _added_to_the_room(livekit, room, wish)
    return _dispatch(made, connection)


async def list_dispatches(room: str, *, connection: LiveKitConnection | None = None) -> tuple[Dispatch, ...]:
    """Return all dispatches of a room, oldest first; none where there is no such room.

    Raises:
        OpenRTCError: The server cannot be reached, or refuses.
    """
    connection = connection or LiveKitConnection.from_settings()
    async with livekit_api(connection) as livekit:
        found = await _all_in(livekit, room)
    return tuple(sorted((_dispatch(one, connection) for one in found), key=lambda one: (one.created_at, one.id)))


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
    async with livekit_api(connection) as livekit:
        await livekit.agent_dispatch.delete_dispatch(dispatch_id, room)


async def room_exists(room: str, *, connection: LiveKitConnection | None = None) -> bool:
    """Return whether a room is there.

    Raises:
        OpenRTCError: The server cannot be reached, or refuses.
    """
    from livekit import api

    async with livekit_api(connection or LiveKitConnection.from_settings()) as livekit:
        return bool((await livekit.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms)


async def _made_with_the_room(
    livekit: api.LiveKitAPI, room: str, wish: api.RoomAgentDispatch
) -> api.AgentDispatch | None:
    """Make the room with its agent; None where it was there before."""
    from livekit import api

    if (await livekit.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms:
        return None
    await livekit.room.create_room(api.CreateRoomRequest(name=room, agents=[wish]))
    return next((one for one in await _all_in(livekit, room) if _grants(one, wish)), None)


async def _added_to_the_room(livekit: api.LiveKitAPI, room: str, wish: api.RoomAgentDispatch) -> api.AgentDispatch:
    from livekit import api

    return await livekit.agent_dispatch.create_dispatch(
        api.CreateAgentDispatchRequest(
            room=room, agent_name=wish.agent_name, metadata=wish.metadata, attributes=wish.attributes
        )
    )


async def _all_in(livekit: api.LiveKitAPI, room: str) -> list[api.AgentDispatch]:
    from livekit import api

    if not (await livekit.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms:
        return []  # the server would wait three seconds for a room that is not there
    return await livekit.agent_dispatch.list_dispatch(room)


def _grants(dispatch: api.AgentDispatch, wish: api.RoomAgentDispatch) -> bool:
    same_name = dispatch.agent_name == wish.agent_name
    return same_name and dispatch.metadata == wish.metadata and dict(dispatch.attributes) == dict(wish.attributes)


def _dispatch(made: api.AgentDispatch, connection: LiveKitConnection) -> Dispatch:
    named = made.agent_name if connection.names.per_agent else ""
    return Dispatch(
        id=made.id,
        room=made.room,
        agent_name=made.agent_name,
        agent=made.attributes.get(AGENT_ATTRIBUTE, "") or named,
        metadata=made.metadata,
        attributes=dict(made.attributes),
        created_at=made.state.created_at / 1e9,
        jobs=tuple(_job(job) for job in made.state.jobs),
    )


def _job(job: api.Job) -> DispatchJob:
    from livekit import api

    state = job.state
    return DispatchJob(
        id=job.id,
        state=api.JobStatus.Name(state.status).removeprefix("JS_").lower(),
        identity=state.participant_identity,
        worker_id=state.worker_id,
        error=state.error,
    )
