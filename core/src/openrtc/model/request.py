"""`RouteRequest`: what is known of a call before an agent is chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_METADATA_CHARACTERS = 65_536
"""Metadata is whatever a caller's backend, or a caller, has put there: parsing it must not hold up the loop."""

MAX_METADATA_DEPTH = 32
"""Deeper JSON serves nobody, and code that walks through it recursively would fail with a RecursionError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRequest:
    """What is known of a call before an agent is chosen; without LiveKit objects, so that literals do for tests.

    Args:
        room_name: Name of the room.
        job_id: LiveKit's id of the job; empty where there is none.
        agent_name: The agent name of the dispatch; empty for automatic dispatch.
        attributes: Attributes of the dispatch.
        job_metadata: Metadata of the dispatch, when it is a JSON object, else None.
        room_metadata: Metadata of the room, when it is a JSON object, else None.
        job_metadata_raw: The dispatch's metadata as it came.
        room_metadata_raw: The room's metadata as it came.
        signed: Whether the dispatch carries a mark that was made with the API secret, for this room and what it asks
            for; None where it has none. OpenRTC's functions and commands always mark what they ask for.
    """

    room_name: str
    job_id: str = ""
    agent_name: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    job_metadata: Mapping[str, Any] | None = None
    room_metadata: Mapping[str, Any] | None = None
    job_metadata_raw: str = ""
    room_metadata_raw: str = ""
    signed: bool | None = None

    @classmethod
    def parse(
        cls,
        *,
        room_name: str,
        job_id: str = "",
        agent_name: str = "",
        attributes: Mapping[str, str] | None = None,
        job_metadata: str = "",
        room_metadata: str = "",
        signed: bool | None = None,
    ) -> RouteRequest:
        """Build a request from raw metadata strings; what is not a JSON object becomes None."""
        return cls(
            room_name=room_name,
            job_id=job_id,
            agent_name=agent_name,
            attributes=dict(attributes or {}),
            job_metadata=parse_metadata(job_metadata)[0],
            room_metadata=parse_metadata(room_metadata)[0],
            job_metadata_raw=job_metadata,
            room_metadata_raw=room_metadata,
            signed=signed,
        )


def parse_metadata(raw: str) -> tuple[Mapping[str, Any] | None, str | None]:
    """Return the JSON object in ``raw`` (or None) and, where something is wrong with it, what.

    Metadata is untrusted input: it is limited in size and depth, and never raises.
    """
    if not raw.strip():
        return None, None
    if len(raw) > MAX_METADATA_CHARACTERS:
        return None, f"{len(raw)} characters, more than {MAX_METADATA_CHARACTERS}: ignored"
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return None, f"not JSON ({error}): ignored"
    if not isinstance(value, dict):
        return None, f"a JSON {_json_type(value)}, not an object: ignored"
    if _depth(value) > MAX_METADATA_DEPTH:
        return None, f"nested deeper than {MAX_METADATA_DEPTH}: ignored"
    return value, None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def is_name(value: object) -> bool:
    """Whether what metadata has in a key that names an agent can be a name."""
    return isinstance(value, str) and bool(value.strip())


def _json_type(value: object) -> str:
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names[type(value)]


def _depth(value: object) -> int:
    deepest, pending = 0, [(value, 1)]
    while pending:
        node, depth = pending.pop()
        deepest = max(deepest, depth)
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        pending.extend((child, depth + 1) for child in children if isinstance(child, dict | list))
    return deepest
