"""Which of an agent's own tools a sentence asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from openrtc_offline.rules.phrasing import VERBS, describe_ability
from openrtc_offline.rules.words import compare_stems, find_meanings, find_stems, split_words, weigh_stem
from openrtc_offline.toolbox import ToolView

# All weights and thresholds were adjusted by hand on the agents of benchmarks/offline_accuracy.py.
NAME_WEIGHT = 2.0
SUMMARY_WEIGHT = 1.4
DETAIL_WEIGHT = 0.7
CHOICE_WEIGHT = 1.0
MEANING_WEIGHT = 0.7
"""What a word counts that means the same as one that was said."""

ENOUGH_SCORE = 0.65
"""A tool is called from this score on: one distinctive word of its name or docstring is enough, a weak one is not."""

CLEARLY_BETTER_FACTOR = 1.12
"""Tools whose scores are nearer than this fit equally well: the caller is asked which one."""

WEAK_WORDS_FACTOR = 0.5
"""What shared weak words count where a tool has distinctive ones and none of them was heard."""

QUESTION = re.compile(
    r"^(?:(?:hello|hi|hey|please|so|and|well) )*(?:(?:can|could|would) you (?:please )?tell me|tell me|what|what's|how|"
    r"when|where|who|which|is|are|do|does|did|will|has|have|i (?:want|need|would like) to know)\b"
)

MOST_WORDS = 100
"""How many different words of a sentence are compared with those of the tools: each takes 10 µs for each of theirs."""

ACTION_FACTOR = 0.8
"""A question asks for a tool that answers rather than for one that does something."""

TELLING_VERBS = frozenset(
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
        self._vocabularies = [(tool, _weigh_words(tool)) for tool in tools]

    def rank(self, text: str) -> list[Match]:
        """Return every tool with its score, the best first; equal ones in the agent's own order."""
        heard = list(dict.fromkeys(find_stems(text)))[:MOST_WORDS]
        related = find_meanings(text)
        asking = bool(QUESTION.search(" ".join(split_words(text))))
        matches = [
            Match(
                tool, self._score(vocabulary, heard, related) * (ACTION_FACTOR if asking and _is_action(tool) else 1.0)
            )
            for tool, vocabulary in self._vocabularies
        ]
        return sorted(matches, key=lambda match: -match.score)

    def choose(self, text: str) -> list[ToolView]:
        """Return the tool that is asked for, several when they fit equally well, none when nothing fits."""
        ranked = self.rank(text)
        if not ranked or ranked[0].score < ENOUGH_SCORE:
            return []
        return [match.tool for match in ranked if match.score * CLEARLY_BETTER_FACTOR > ranked[0].score]

    def _score(self, vocabulary: dict[str, float], heard: list[str], related: list[Meaning]) -> float:
        direct = sum(self._weigh_word(word, vocabulary) for word in heard)
        if not any(weigh_stem(known) == 1.0 and compare_stems(word, known) for word in heard for known in vocabulary):
            direct *= WEAK_WORDS_FACTOR if any(weigh_stem(known) == 1.0 for known in vocabulary) else 1.0
        unsaid = [word for said, rest in related if not said <= vocabulary.keys() for word in rest & vocabulary.keys()]
        implied = max((MEANING_WEIGHT * self._weigh_rarity(word) * vocabulary[word] for word in unsaid), default=0.0)
        return direct + implied * (0.5 if direct else 1.0)

    def _weigh_word(self, word: str, vocabulary: dict[str, float]) -> float:
        best = max(vocabulary, key=lambda known: compare_stems(word, known) * vocabulary[known], default="")
        alike = compare_stems(word, best) if best else 0.0
        return alike * vocabulary[best] * weigh_stem(best) * self._weigh_rarity(best) if alike else 0.0

    def _weigh_rarity(self, word: str) -> float:
        having = sum(word in vocabulary for _, vocabulary in self._vocabularies)
        return 1.0 if having <= 1 else 1 / (1 + math.log2(having))


def _weigh_words(tool: ToolView) -> dict[str, float]:
    words: dict[str, float] = {}
    details = [tool.description, *(p.spoken_name for p in tool.parameters)]
    choices = [str(choice) for p in tool.parameters for choice in p.choices]
    for worth, texts in (
        (NAME_WEIGHT, [tool.spoken_name]),
        (SUMMARY_WEIGHT, [tool.summary]),
        (CHOICE_WEIGHT, choices),
        (DETAIL_WEIGHT, details),
    ):
        for word in find_stems(" ".join(texts)):
            words.setdefault(word, worth)
    return words


def _is_action(tool: ToolView) -> bool:
    verb = describe_ability(tool).partition(" ")[0]
    return verb in VERBS and verb not in TELLING_VERBS
