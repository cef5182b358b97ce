"""Tokens for one room each, and ten minutes."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any

from livekit import api

from openrtc.dispatch.agent_request import AgentRequest
from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.tokens import create_token
from openrtc.model.dispatch_names import AUTOMATIC, HANGS_UP_ATTRIBUTE, MODALITY_ATTRIBUTE, TEXT

LIFETIME = timedelta(minutes=10)


def create_call_token(
    connection: LiveKitConnection, agent: str, *, text: bool, dispatch_name: str | None = None
) -> dict[str, Any]:
    """Return a token for somebody who brings an agent into a room of their own.

    Args:
        connection: The LiveKit server, and the workers' names.
        agent: Name of the agent; empty leaves the choice to the routing.
        text: Whether the call is held in text.
        dispatch_name: The name of a worker of livekit-agents' own kind instead; empty for one without a name.

    Raises:
        OpenRTCError: No agent is named, and no worker would choose one.
    """
    room, identity = f"playground-{secrets.token_hex(4)}", f"you-{secrets.token_hex(3)}"
    request = AgentRequest(agent=agent, attributes={MODALITY_ATTRIBUTE: TEXT} if text else {})
    if dispatch_name is not None:
        connection = replace(connection, agent_name=dispatch_name or AUTOMATIC)
    token = create_token(
        identity,
        room,
        name="You",
        agents=[request],
        attributes={HANGS_UP_ATTRIBUTE: "true"},
        valid_for=LIFETIME,
        manage_session=True,
        connection=connection,
    )
    return _answer(connection, token, room, identity)


def create_watch_token(connection: LiveKitConnection, room: str) -> dict[str, Any]:
    """Return a token for somebody whom nobody in a room sees, and who says nothing there.

    Args:
        connection: The LiveKit server.
        room: Name of the room.
    """
    identity = f"watcher-{secrets.token_hex(3)}"
    # Requests to the session stream are data.
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        hidden=True,
        can_publish=False,
        can_publish_data=True,
        can_update_own_metadata=False,
        can_manage_agent_session=True,
    )
    token = api.AccessToken(connection.api_key, connection.api_secret).with_identity(identity).with_grants(grants)
    return _answer(connection, token.with_ttl(LIFETIME).to_jwt(), room, identity)


def _answer(connection: LiveKitConnection, token: str, room: str, identity: str) -> dict[str, Any]:
    return {
        "url": connection.address,
        "token": token,
        "room": room,
        "identity": identity,
        "expires_in": int(LIFETIME.total_seconds()),
    }
