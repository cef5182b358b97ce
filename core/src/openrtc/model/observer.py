"""What an observer of a pool's sessions is told, by the names that the `AgentPool` of openrtc 0.20 has for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

DEFAULT_TENANT = "default"
"""The tenant of a dispatch that names none."""


class SessionStatus(str, Enum):  # noqa: UP042 - a StrEnum would be written into texts otherwise than there
    """How a session ended; each is also the string that is its value."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What is known of a session from its start to its end.

    Args:
        agent_name: Name of the agent.
        room_name: Name of the room.
        job_id: LiveKit's id of the job.
        metadata: The metadata of the room and, before it, of the dispatch, as far as they are JSON objects; each value
            as a string. ``tenant`` is always there.
        started_at: When the job has begun, in seconds since the epoch.
        tenant: The ``tenant`` in the metadata.
        deployment_version: The ``deployment_version`` that the pool was given.
    """

    agent_name: str
    room_name: str
    job_id: str
    metadata: Mapping[str, str]
    started_at: float
    tenant: str = DEFAULT_TENANT
    deployment_version: str | None = None


@dataclass(frozen=True, slots=True)
class SessionOutcome:
    """How a session ended.

    Args:
        status: ``success``, also when a limit or a person ended it; ``failed``, when an error did; ``cancelled``, when
            the worker stopped or the room was gone before the agent came.
        error: The error, if it has failed or was cancelled.
        ended_at: When it ended, in seconds since the epoch.
        duration_seconds: Seconds since ``started_at``.
    """

    status: SessionStatus
    error: BaseException | None
    ended_at: float
    duration_seconds: float


@runtime_checkable
class SessionObserver(Protocol):
    """Is told of the sessions of a pool; its methods may also be plain functions, and one of them may be missing."""

    async def on_session_start(self, info: SessionInfo, session: Any) -> None:
        """Learn that a session has started.

        Args:
            info: What is known of it.
            session: The ``livekit.agents.AgentSession``.
        """

    async def on_session_end(self, info: SessionInfo, outcome: SessionOutcome) -> None:
        """Learn that a session has ended, or could not start.

        Args:
            info: What is known of it.
            outcome: How it ended.
        """
