"""`AgentRequest`: which agent shall come into a room, and what its job carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.marks import add_mark
from openrtc.model.dispatch_names import REQUESTED_AGENT_ATTRIBUTE, WorkerNames

if TYPE_CHECKING:
    from livekit import api


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRequest:
    """Which agent shall come into a room, and what its job carries.

    Args:
        agent: Name of the agent; empty leaves the choice to the worker's routing.
        metadata: Metadata of the job, for the routing and the agent; a JSON object where the routing is to read it.
        attributes: Attributes of the job.
    """

    agent: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> AgentRequest:
        """Read ``AGENT`` or ``AGENT=METADATA``."""
        agent, _, metadata = text.partition("=")
        return cls(agent=agent.strip(), metadata=metadata)

    def to_livekit(self, names: WorkerNames) -> api.RoomAgentDispatch:
        """Return the request as LiveKit takes it, for workers that are registered under ``names``.

        Raises:
            OpenRTCError: It names no agent, and the workers are registered under their agents' names only.
        """
        from livekit import api

        agent_name, attributes = names.address(self.agent)
        return api.RoomAgentDispatch(
            agent_name=agent_name, metadata=self.metadata, attributes={**self.attributes, **attributes}
        )


def build_room_dispatches(
    requests: Iterable[str | AgentRequest],
    connection: LiveKitConnection,
    *,
    room: str = "",
    room_prefix: str | None = None,
) -> list[api.RoomAgentDispatch]:
    """Return requests, or agents' bare names, as LiveKit takes them, each with its mark.

    Args:
        requests: The requests.
        connection: Under which names the workers are registered, and the API secret.
        room: Name of the room that they are for.
        room_prefix: Instead, what the name of each room begins with.

    Raises:
        OpenRTCError: See `AgentRequest.to_livekit`.
    """
    built = [
        (AgentRequest(agent=one) if isinstance(one, str) else one).to_livekit(connection.names) for one in requests
    ]
    for dispatch in built:
        add_mark(dispatch, connection.api_secret, room=room, room_prefix=room_prefix)
    return built


def find_requested_agent(dispatch: api.AgentDispatch | api.RoomAgentDispatch, names: WorkerNames) -> str:
    """Return the agent that a dispatch on the server asks for; empty where the routing chooses it."""
    return dispatch.attributes.get(REQUESTED_AGENT_ATTRIBUTE, "") or (dispatch.agent_name if names.per_agent else "")
