"""The vocabulary of whichever agent a session is with now: hand-offs and changed tools are followed."""

from __future__ import annotations

from typing import Any

from openrtc_offline.recognition.vocabulary import Vocabulary, vocabulary_of
from openrtc_offline.toolbox import views


class CurrentVocabulary:
    """Callable that returns the vocabulary of the agent that listens now; made anew only when its tools change.

    Args:
        agent: The agent that the session starts with, or None.
        name: Its name.
        examples: Sentences that a caller may say to it.
    """

    def __init__(self, agent: Any, name: str, examples: tuple[str, ...] = ()) -> None:
        self._first = agent
        self._name = name
        self._examples = examples
        self._session: Any = None
        self._made: dict[tuple[str, ...], Vocabulary] = {}

    def __call__(self) -> Vocabulary:
        """Return the vocabulary that is likely now."""
        agent = self._current_agent()
        tools = [*getattr(agent, "tools", ()), *getattr(self._session, "tools", ())]
        key = tuple(str(tool.id) for tool in tools)
        if key not in self._made:
            self._made[key] = vocabulary_of(views(tools), self._examples, [self._name])
        return self._made[key]

    def _current_agent(self) -> Any:
        try:
            self._session = self._session or self._first.session
            return self._session.current_agent
        except (AttributeError, RuntimeError):
            return self._first  # not running yet, or not any more
