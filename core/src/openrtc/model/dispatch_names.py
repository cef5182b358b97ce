"""`WorkerNames`: the names under which LiveKit knows a worker, and how an agent is asked for through them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from openrtc.errors import OpenRTCError

PER_AGENT = "per-agent"
"""In the setting ``agent_name``: every agent is registered under its own name."""

AUTOMATIC = "automatic"
"""In the setting ``agent_name``: without a name, so that each new room gets an agent by itself."""

REQUESTED_AGENT_ATTRIBUTE = "openrtc.agent"
"""The attribute of a dispatch that asks for an agent."""

ANSWERING_AGENT_ATTRIBUTE = "lk.agent.name"
"""The attribute of an agent's participant that says which agent answers; of a worker of livekit-agents' own kind it is
the name under which that is dispatched, as in livekit-agents, and `HOSTED_AGENT_ATTRIBUTE` says which agent it is."""

HOSTED_AGENT_ATTRIBUTE = "openrtc.agent"
"""The attribute of such an agent's participant that says which agent answers."""

ROLE_ATTRIBUTE = "openrtc.role"
"""The attribute of the participant of a cast's member that says which one it is."""

MODALITY_ATTRIBUTE = "openrtc.modality"
"""The attribute of a dispatch that is `TEXT` where the call is held in text: nobody speaks, and nobody listens."""

TEXT = "text"
"""The one value of `MODALITY_ATTRIBUTE` that says something."""

HANGS_UP_ATTRIBUTE = "openrtc.hangs_up"
"""The attribute of a caller's participant that is ``true`` where to leave is to hang up: a program knows that it is
gone, where a page may have been loaded anew."""


def is_held_in_text(attributes: Mapping[str, str]) -> bool:
    """Whether a call is held in text, by the attributes of its job: nobody speaks in it, and nobody listens."""
    return attributes.get(MODALITY_ATTRIBUTE) == TEXT


def read_answering_agent(attributes: Mapping[str, str]) -> str:
    """Return which agent answers, by the attributes of its participant; empty where they do not say."""
    return attributes.get(HOSTED_AGENT_ATTRIBUTE) or attributes.get(ANSWERING_AGENT_ATTRIBUTE, "")


@dataclass(frozen=True, slots=True)
class WorkerNames:
    """What the setting ``agent_name`` says.

    Args:
        own: Names of the worker itself, which choose no agent; the empty one stands for automatic dispatch.
        per_agent: Whether every agent is registered under its own name, too.
        given: Whether the operator has said anything.
    """

    own: tuple[str, ...] = ("",)
    per_agent: bool = False
    given: bool = False

    @classmethod
    def parse(cls, setting: str) -> WorkerNames:
        """Read the setting: names with commas between them, ``per-agent`` and ``automatic``; empty for the latter."""
        parts = [part.strip() for part in setting.split(",") if part.strip()]
        own = tuple(dict.fromkeys("" if part == AUTOMATIC else part for part in parts if part != PER_AGENT))
        per_agent = PER_AGENT in parts
        return cls(own if per_agent else own or ("",), per_agent=per_agent, given=bool(parts))

    @property
    def mixed(self) -> bool:
        """Whether there is automatic dispatch beside names: then a room made for a name gets an agent twice."""
        return "" in self.own and (self.per_agent or len(self.own) > 1)

    def registered(self, agents: Iterable[str]) -> tuple[str, ...]:
        """Return all names to register, given those of the agents."""
        return tuple(dict.fromkeys([*self.own, *(agents if self.per_agent else ())]))

    def select_in_code(self, names: Mapping[str, str]) -> dict[str, str]:
        """Return which of the names in agents' code a worker is registered under, with the agent of each.

        Args:
            names: All of them.
        """
        return {name: agent for name, agent in names.items() if self.counts_in_code(name)}

    def counts_in_code(self, name: str) -> bool:
        """Whether a name in an agent's code counts: where the operator says names, only one that is among them."""
        return not self.given or name in self.own

    def choose_no_agent(self, name: str, agents: Iterable[str]) -> bool:
        """Whether a dispatch under ``name`` only addresses the worker."""
        return name in self.own and not (self.per_agent and name in agents)

    def address(self, agent: str) -> tuple[str, dict[str, str]]:
        """Return the LiveKit agent name and the attributes by which a dispatch asks for an agent.

        Args:
            agent: Name of the agent; empty leaves the choice to the worker.

        Raises:
            OpenRTCError: No agent is named, and no worker would choose one.
        """
        if self.per_agent and agent:
            return agent, {}
        if not self.own:
            raise OpenRTCError("which agent? the workers are registered under their agents' names only", fix="name one")
        return self.own[0], {REQUESTED_AGENT_ATTRIBUTE: agent} if agent else {}
