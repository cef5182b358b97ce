"""Which of an agent's own tools a sentence asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from openrtc_offline.rules.phrasing import VERBS, ability
from openrtc_offline.rules.words import closeness, content, meanings, tokens, weight
from openrtc_offline.toolbox import ToolView

NAME_WEIGHT = 2.0
SUMMARY_WEIGHT = 1.4
DETAIL_WEIGHT = 0.7
CHOICE_WEIGHT = 1.0
MEANING_WEIGHT = 0.7
ENOUGH = 0.65
"""A tool is called from this score on: one distinctive word of its name or docstring is enough, a weak one is not."""
CLEARLY_BETTER = 1.12
ONLY_WEAK = 0.5
"""What shared weak words count where a tool has distinctive ones and none of them was heard."""


ASKING = re.compile(
    r"^(?:(?:hello|hi|hey|please|so|and|well) )*(?:(?:can|could|would) you (?:please )?tell me|tell me|what|what's|how|"
    r"when|where|who|which|is|are|do|does|did|will|has|have|i (?:want|need|would like) to know)\b"
)
ACTS_WHEN_ASKED = 0.8
"""A question is for a tool that tells something rather than for one that does something."""
TELLING = frozenset(
    "tell get say return give list look find check show explain describe read fetch report search answer provide "
    "retrieve lookup track quote estimate calculate compute convert count locate recommend suggest".split()
)

Meaning = tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Match:
    """How well a tool fits a sentence.

    Args:
        tool: The tool.
        score: 0 when nothing fits.
    """

    tool: ToolView
    score: float


class Intents:
    """Scores the tools of one agent; a word that few of them have counts more."""

    def __init__(self, tools: Sequence[ToolView]) -> None:
        self._vocabularies = [(tool, _vocabulary(tool)) for tool in tools]

    def rank(self, text: str) -> list[Match]:
        """Return every tool with its score, the best first; equal ones in the agent's own order."""
        heard = list(dict.fromkeys(content(text)))
        related = meanings(text)
        asking = bool(ASKING.search(" ".join(tokens(text))))
        matches = [
            Match(tool, self._score(vocabulary, heard, related) * (ACTS_WHEN_ASKED if asking and _acts(tool) else 1.0))
            for tool, vocabulary in self._vocabularies
        ]
        return sorted(matches, key=lambda match: -match.score)

    def choose(self, text: str) -> list[ToolView]:
        """Return the tool that is asked for, several when they fit equally well, none when nothing fits."""
        ranked = self.rank(text)
        if not ranked or ranked[0].score < ENOUGH:
            return []
        return [match.tool for match in ranked if match.score * CLEARLY_BETTER > ranked[0].score]

    def _score(self, vocabulary: dict[str, float], heard: list[str], related: list[Meaning]) -> float:
        direct = sum(self._worth(word, vocabulary) for word in heard)
        if not any(weight(known) == 1.0 and closeness(word, known) for word in heard for known in vocabulary):
            direct *= ONLY_WEAK if any(weight(known) == 1.0 for known in vocabulary) else 1.0
        untold = [word for said, rest in related if not said <= vocabulary.keys() for word in rest & vocabulary.keys()]
        implied = max((MEANING_WEIGHT * self._rarity(word) * vocabulary[word] for word in untold), default=0.0)
        return direct + implied * (0.5 if direct else 1.0)

    def _worth(self, word: str, vocabulary: dict[str, float]) -> float:
        best = max(vocabulary, key=lambda known: closeness(word, known) * vocabulary[known], default="")
        alike = closeness(word, best) if best else 0.0
        return alike * vocabulary[best] * weight(best) * self._rarity(best) if alike else 0.0

    def _rarity(self, word: str) -> float:
        having = sum(word in vocabulary for _, vocabulary in self._vocabularies)
        return 1.0 if having <= 1 else 1 / (1 + math.log2(having))


def _vocabulary(tool: ToolView) -> dict[str, float]:
    words: dict[str, float] = {}
    details = [tool.description, *(p.spoken_name for p in tool.parameters)]
    choices = [str(choice) for p in tool.parameters for choice in p.choices]
    for worth, texts in (
        (NAME_WEIGHT, [tool.spoken_name]),
        (SUMMARY_WEIGHT, [tool.summary]),
        (CHOICE_WEIGHT, choices),
        (DETAIL_WEIGHT, details),
    ):
        for word in content(" ".join(texts)):
            words.setdefault(word, worth)
    return words


def _acts(tool: ToolView) -> bool:
    verb = ability(tool).partition(" ")[0]
    return verb in VERBS and verb not in TELLING
