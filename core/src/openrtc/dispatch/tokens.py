"""Tokens with which a participant joins a room, and brings agents into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlencode

from openrtc.dispatch.agent_request import AgentRequest, build_room_dispatches
from openrtc.dispatch.connection import LiveKitConnection
from openrtc.errors import OpenRTCError

DEFAULT_LIFETIME = timedelta(hours=1)

MEET_URL = "https://meet.livekit.io/custom"
"""A page that joins a room by the ``liveKitUrl`` and ``token`` of its address; LiveKit's own example."""


def create_token(
    identity: str,
    room: str,
    *,
    name: str = "",
    agents: Sequence[str | AgentRequest] = (),
    metadata: str = "",
    attributes: Mapping[str, str] | None = None,
    room_metadata: str = "",
    valid_for: timedelta = DEFAULT_LIFETIME,
    manage_session: bool = False,
    connection: LiveKitConnection | None = None,
) -> str:
    """Return a token for a participant who may speak, listen and send data in one room.

    The agents come, and the room's metadata is set, only when this participant is the first in a room that does not
    exist yet; else LiveKit ignores both.

    Args:
        identity: Identity of the participant.
        room: Name of the room.
        name: Name that the others see; the identity if empty.
        agents: Names of agents, or requests with metadata of their own.
        metadata: Metadata of the participant.
        attributes: Attributes of the participant.
        room_metadata: Metadata of the room.
        valid_for: How long one can join with it.
        manage_session: Whether the participant may look into the sessions of agents and steer them: LiveKit's grant
            ``can_manage_agent_session``.
        connection: API key and secret and the name of the workers; by default those of the settings.

    Raises:
        OpenRTCError: Something is missing in the settings, or ``valid_for`` is not positive.
    """
    from livekit import api

    connection = connection or LiveKitConnection.from_settings()
    if valid_for <= timedelta(0):
        raise OpenRTCError("a token must be valid for some time", fix="such as 24h")
    token = api.AccessToken(connection.api_key, connection.api_secret).with_identity(identity).with_name(name)
    grants = api.VideoGrants(room_join=True, room=room, can_manage_agent_session=manage_session or None)
    token = token.with_grants(grants).with_ttl(valid_for)
    if metadata:
        token = token.with_metadata(metadata)
    if attributes:
        token = token.with_attributes(dict(attributes))
    if agents or room_metadata:
        dispatches = build_room_dispatches(agents, connection, room=room)
        token = token.with_room_config(api.RoomConfiguration(name=room, metadata=room_metadata, agents=dispatches))
    return token.to_jwt()


def build_join_url(token: str, *, page: str = MEET_URL, connection: LiveKitConnection | None = None) -> str:
    """Return the address of a page that joins a room with a token. It contains the token: whoever has it can join.

    Args:
        token: The token.
        page: Address of the page.
        connection: The server; by default that of the settings.

    Raises:
        OpenRTCError: Something is missing in the settings.
    """
    connection = connection or LiveKitConnection.from_settings()
    between = "&" if "?" in page else "?"
    return f"{page}{between}{urlencode({'liveKitUrl': connection.address, 'token': token})}"
