"""The vocabulary of whichever agent a session is with now: hand-offs and changed tools are followed."""

from __future__ import annotations

from typing import Any

from openrtc_offline.current_agent import CurrentAgent
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
        self._current = CurrentAgent(agent, name)
        self._examples = examples
        self._made: dict[tuple[str, ...], Vocabulary] = {}

    def __call__(self) -> Vocabulary:
        """Return the vocabulary that is likely now."""
        tools = self._current.tools
        key = tuple(str(tool.id) for tool in tools)
        if key not in self._made:
            self._made[key] = vocabulary_of(views(tools), self._examples, [self._current.name])
        return self._made[key]
