"""The mark by which a worker knows that a dispatch was made by whoever has the API secret.

A caller who writes the agents of its own token, or has them written by a careless endpoint, asks for agents in the same
fields as the operator does. What OpenRTC's functions and commands ask for carries an HMAC of it, in an attribute of the
dispatch: the job's metadata stays what it was, for other workers too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from openrtc.model.decision import DECISION_ATTRIBUTE

if TYPE_CHECKING:
    from livekit import api
    from livekit.protocol import agent as proto

MARK_ATTRIBUTE = "openrtc.mark"
"""The attribute of a dispatch that holds its mark."""

_VERSION = "1"
_ADDED = (MARK_ATTRIBUTE, DECISION_ATTRIBUTE)
_LIVEKITS = "lk."
"""How the attributes begin that LiveKit may add on the way."""


def add_mark(dispatch: api.RoomAgentDispatch, secret: str, *, room: str = "", room_prefix: str | None = None) -> None:
    """Mark a dispatch as made by whoever has the API secret.

    Args:
        dispatch: The dispatch.
        secret: API secret.
        room: Name of the room that it is for.
        room_prefix: Instead, what the name of each room begins with, as in a SIP rule; LiveKit adds ``_`` and more.
    """
    scope, where = ("room", room) if room_prefix is None else ("prefix", room_prefix)
    digest = _sign(secret, scope, where, dispatch.agent_name, dispatch.metadata, dispatch.attributes)
    dispatch.attributes[MARK_ATTRIBUTE] = ".".join([_VERSION, digest, *([] if room_prefix is None else [room_prefix])])


def check_mark(job: proto.Job, secrets: Iterable[str]) -> bool | None:
    """Return whether a job's mark is good for what the job asks for in its room; None where it has none.

    Args:
        job: The job.
        secrets: The API secrets of which one must have made it.
    """
    return _check(job.room.name, job.agent_name, job.metadata, job.attributes, secrets)


def is_marked(dispatch: api.AgentDispatch, secret: str) -> bool:
    """Whether a dispatch on the server has a mark that is good for it."""
    found = _check(dispatch.room, dispatch.agent_name, dispatch.metadata, dispatch.attributes, [secret])
    return bool(found)


def is_marked_for_rooms(dispatch: api.RoomAgentDispatch, secret: str, *, room: str, room_prefix: str) -> bool:
    """Whether a dispatch of a SIP rule has a mark that is good for the rooms of the rule.

    Args:
        dispatch: The dispatch.
        secret: API secret.
        room: The one room of the rule; empty where each call has its own.
        room_prefix: What the names of these begin with.
    """
    where = room or f"{room_prefix}_"
    return bool(_check(where, dispatch.agent_name, dispatch.metadata, dispatch.attributes, [secret]))


def _check(
    room: str, agent_name: str, metadata: str, attributes: Mapping[str, str], secrets: Iterable[str]
) -> bool | None:
    mark = attributes.get(MARK_ATTRIBUTE)
    if mark is None:
        return None
    version, _, rest = mark.partition(".")
    digest, prefixed, prefix = rest.partition(".")
    if version != _VERSION or not digest.isascii():
        return False
    if prefixed and prefix and not room.startswith(f"{prefix}_"):
        return False
    scope, where = ("prefix", prefix) if prefixed else ("room", room)
    good = [
        hmac.compare_digest(digest, _sign(secret, scope, where, agent_name, metadata, attributes))
        for secret in secrets
        if secret
    ]
    return any(good)


def _sign(secret: str, scope: str, where: str, agent_name: str, metadata: str, attributes: Mapping[str, str]) -> str:
    asked = sorted([key, value] for key, value in attributes.items() if _is_asked_for(key))
    # It begins as no token does: what is signed here is no token's signature, and the other way round.
    text = json.dumps(
        ["openrtc.mark", scope, where, agent_name, metadata, asked], ensure_ascii=False, separators=(",", ":")
    )
    return hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _is_asked_for(key: str) -> bool:
    return key not in _ADDED and not key.startswith(_LIVEKITS)
