"""Everyday English, read from the general language model that pocketsphinx brings."""

from __future__ import annotations

from collections.abc import Iterable

from pocketsphinx import Config, LogMath, NGramModel, get_model_path

from openrtc_offline.recognition.dictionary import Dictionary
from openrtc_offline.recognition.language_model import Background

FREQUENT_WORDS = 3000
"""How many of the most frequent words any caller may use."""
PAIRED_WORDS = 300
"""How many of the most frequent words are also known in pairs: their number grows with the square."""
LIKELIER_FACTOR = 2.0
"""A pair is kept when it is this much likelier than chance."""

Pairs = dict[str, dict[str, float]]


class EverydayEnglish:
    """How often words and pairs of words are said.

    Args:
        dictionary: The words that can be pronounced.
    """

    def __init__(self, dictionary: Dictionary) -> None:
        self._logmath = LogMath()
        self._model = NGramModel(Config(), self._logmath, get_model_path("en-us/en-us.lm.bin"))
        scored = sorted(((self._model.prob([word]), word) for word in dictionary.words), reverse=True)
        self._words = {word: self._logmath.exp(score) for score, word in scored[:FREQUENT_WORDS]}
        self._frequent = list(self._words)[:PAIRED_WORDS]
        self._paired = set(self._frequent)
        self._pairs = self._find_pairs(self._frequent, self._frequent)

    @property
    def words(self) -> Iterable[str]:
        """The most frequent words."""
        return self._words.keys()

    def build_background(self, words: Iterable[str]) -> Background:
        """Return everyday English with the pairs that ``words`` form with frequent words."""
        fresh = sorted(set(words) - self._paired)
        self._paired.update(fresh)
        for pairs in (self._find_pairs(self._frequent, fresh), self._find_pairs(fresh, self._frequent)):
            for first, following in pairs.items():
                self._pairs.setdefault(first, {}).update(following)
        return Background(self._words, self._pairs)

    def _find_pairs(self, firsts: list[str], seconds: list[str]) -> Pairs:
        chance = {word: self._model.prob([word]) for word in seconds}
        margin = self._logmath.log(LIKELIER_FACTOR)
        pairs: Pairs = {}
        for first in firsts:
            # The model takes the newest word first.
            scores = ((second, self._model.prob([second, first])) for second in seconds)
            kept = {second: self._logmath.exp(score) for second, score in scores if score > chance[second] + margin}
            if kept:
                pairs[first] = kept
        return pairs
