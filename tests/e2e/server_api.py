"""The LiveKit server's API, as tests use it: dispatches, rooms, participants and tokens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from livekit import api

from openrtc.model.dispatch_names import HANGS_UP_ATTRIBUTE

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """A request for an agent in a room.

    Args:
        room: Name of the room, which is made when it does not exist.
        agent_name: Agent name that a worker has registered under.
        metadata: Metadata of the job.
        attributes: Attributes of the job.
    """

    room: str
    agent_name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def request(self) -> api.CreateAgentDispatchRequest:
        """Return the API's request."""
        return api.CreateAgentDispatchRequest(
            room=self.room, agent_name=self.agent_name, metadata=self.metadata, attributes=dict(self.attributes)
        )


class ServerApi:
    """Calls the API of one server; every method waits for the answer.

    Args:
        url: Address of the server (``ws://``).
        key: API key.
        secret: API secret.
    """

    def __init__(self, url: str, key: str, secret: str) -> None:
        self.url = url
        self.key = key
        self.secret = secret

    def dispatch(
        self, room: str, agent_name: str = "", metadata: str = "", attributes: Mapping[str, str] | None = None
    ) -> str:
        """Ask for an agent; return the dispatch's id."""
        dispatch = Dispatch(room=room, agent_name=agent_name, metadata=metadata, attributes=attributes or {})
        return self.dispatch_all([dispatch])[0]

    def dispatch_all(self, dispatches: Sequence[Dispatch]) -> list[str]:
        """Ask for all agents at the same time; return the dispatches' ids."""

        async def create(lk: api.LiveKitAPI) -> list[str]:
            made = await asyncio.gather(*(lk.agent_dispatch.create_dispatch(one.request()) for one in dispatches))
            return [dispatch.id for dispatch in made]

        return self._run(create)

    def jobs(self, dispatch_id: str, room: str) -> list[str]:
        """Return the states of a dispatch's jobs: ``JS_PENDING``, ``JS_RUNNING``, ``JS_SUCCESS`` or ``JS_FAILED``."""

        async def get(lk: api.LiveKitAPI) -> list[str]:
            dispatch = await lk.agent_dispatch.get_dispatch(dispatch_id, room)
            return [api.JobStatus.Name(job.state.status) for job in dispatch.state.jobs] if dispatch else []

        return self._run(get)

    def create_room(self, name: str, metadata: str = "", agents: Sequence[Dispatch] = (), node: str = "") -> None:
        """Make a room, perhaps with agents dispatched to it, and on the node of a cluster that has this id."""
        request = api.CreateRoomRequest(name=name, metadata=metadata, agents=_room_agents(agents), node_id=node)

        async def create(lk: api.LiveKitAPI) -> None:
            await lk.room.create_room(request)

        self._run(create)

    def delete_all_rooms(self) -> None:
        """Delete every room of the server."""

        async def delete(lk: api.LiveKitAPI) -> None:
            for room in (await lk.room.list_rooms(api.ListRoomsRequest())).rooms:
                with contextlib.suppress(api.TwirpError):  # it has ended by itself since it was listed
                    await lk.room.delete_room(api.DeleteRoomRequest(room=room.name))

        self._run(delete)

    def delete_room(self, name: str) -> None:
        """Delete a room: everybody in it is disconnected."""

        async def delete(lk: api.LiveKitAPI) -> None:
            await lk.room.delete_room(api.DeleteRoomRequest(room=name))

        self._run(delete)

    def remove_participant(self, room: str, identity: str) -> None:
        """Take somebody out of a room."""

        async def remove(lk: api.LiveKitAPI) -> None:
            await lk.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=identity))

        self._run(remove)

    def participants(self, room: str) -> list[api.ParticipantInfo]:
        """Return who is in a room."""

        async def get(lk: api.LiveKitAPI) -> list[api.ParticipantInfo]:
            return list((await lk.room.list_participants(api.ListParticipantsRequest(room=room))).participants)

        return self._run(get)

    def agents_in(self, rooms: Sequence[str]) -> dict[str, list[str]]:
        """Return the identities of the agents that have joined each room; rooms that do not exist have none."""

        async def one(lk: api.LiveKitAPI, room: str) -> list[str]:
            try:
                answer = await lk.room.list_participants(api.ListParticipantsRequest(room=room))
            except api.TwirpError as error:
                if error.code == api.TwirpErrorCode.NOT_FOUND:
                    return []
                raise
            return [one.identity for one in answer.participants if one.kind == api.ParticipantInfo.Kind.AGENT]

        async def get(lk: api.LiveKitAPI) -> dict[str, list[str]]:
            found = await asyncio.gather(*(one(lk, room) for room in rooms))
            return dict(zip(rooms, found, strict=True))

        return self._run(get)

    def wait_for_agents(self, rooms: Sequence[str], timeout: float = 40.0) -> dict[str, list[str]]:
        """Return the same as soon as there are some in each room, or when the time is over."""
        until = time.monotonic() + timeout
        while not all((found := self.agents_in(rooms)).values()) and time.monotonic() < until:
            time.sleep(0.2)
        return found

    def token(
        self,
        room: str,
        identity: str,
        *,
        agents: Sequence[Dispatch] = (),
        room_metadata: str = "",
        hangs_up: bool = True,
        phone: str = "",
        manages: bool = False,
        hidden: bool = False,
    ) -> str:
        """Return a token for a room; with ``agents`` or ``room_metadata``, the room is made so when it is new.

        With ``manages``, its participant may manage the sessions of agents; a ``hidden`` one is in nobody's list.

        With ``hangs_up``, who leaves has hung up; without, it may as well be a page that is loaded anew. With
        ``phone``, it is a caller whom LiveKit's SIP service brings from that number.
        """
        token = api.AccessToken(self.key, self.secret).with_identity(identity).with_name(identity)
        grants = api.VideoGrants(room_join=True, room=room, can_manage_agent_session=manages, hidden=hidden)
        token = token.with_grants(grants)
        if phone:
            token = token.with_kind("sip").with_attributes({"sip.phoneNumber": phone})
        if hangs_up:
            token = token.with_attributes({HANGS_UP_ATTRIBUTE: "true"})
        if agents or room_metadata:
            config = api.RoomConfiguration(name=room, metadata=room_metadata, agents=_room_agents(agents))
            token = token.with_room_config(config)
        return token.to_jwt()

    def _run(self, work: Callable[[api.LiveKitAPI], Awaitable[T]]) -> T:
        async def call() -> T:
            async with api.LiveKitAPI(self.url.replace("ws", "http", 1), self.key, self.secret) as lk:
                return await work(lk)

        return asyncio.run(call())


def _room_agents(agents: Sequence[Dispatch]) -> list[api.RoomAgentDispatch]:
    return [
        api.RoomAgentDispatch(agent_name=one.agent_name, metadata=one.metadata, attributes=dict(one.attributes))
        for one in agents
    ]
