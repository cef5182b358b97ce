"""Whichever agent a session is with now: hand-offs are followed."""

from __future__ import annotations

from typing import Any


class CurrentAgent:
    """Finds the agent that listens now.

    Args:
        agent: The ``livekit.agents.Agent`` that the session starts with, or None.
        name: Its name.
    """

    def __init__(self, agent: Any, name: str) -> None:
        self._first = agent
        self._name = name
        self._session: Any = None

    @property
    def name(self) -> str:
        """The agent's name; of one that took over, what livekit calls it."""
        agent = self.agent
        return self._name if agent is self._first else str(agent.id)

    @property
    def agent(self) -> Any:
        """The agent; the first one while its session is not running."""
        try:
            self._session = self._session or self._first.session
            return self._session.current_agent
        except (AttributeError, RuntimeError):
            return self._first

    @property
    def tools(self) -> list[Any]:
        """The tools of the agent and of its session."""
        return [*getattr(self.agent, "tools", ()), *getattr(self._session, "tools", ())]
