"""`AgentWish`: which agent is wanted in a room, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openrtc.worker_names import WorkerNames

if TYPE_CHECKING:
    from livekit import api


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentWish:
    """Which agent is wanted in a room, and what it is told.

    Args:
        agent: Name of the agent; empty leaves the choice to the worker's routing.
        metadata: Metadata of the job, for the routing and the agent; a JSON object where the routing is to read it.
        attributes: Attributes of the job.
    """

    agent: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, wish: str | AgentWish) -> AgentWish:
        """Return a wish for an agent that is given by its name alone."""
        return cls(agent=wish) if isinstance(wish, str) else wish

    @classmethod
    def read(cls, text: str) -> AgentWish:
        """Read ``AGENT`` or ``AGENT=METADATA``."""
        agent, _, metadata = text.partition("=")
        return cls(agent=agent.strip(), metadata=metadata)

    def addressed(self, names: WorkerNames) -> api.RoomAgentDispatch:
        """Return the wish as LiveKit takes it, for workers that are registered under ``names``."""
        from livekit import api

        agent_name, attributes = names.address(self.agent)
        return api.RoomAgentDispatch(
            agent_name=agent_name, metadata=self.metadata, attributes={**self.attributes, **attributes}
        )
