"""Everyday English, read from the general language model that pocketsphinx brings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pocketsphinx import Decoder, NGramModel, get_model_path  # type: ignore[import-untyped]

from openrtc_offline.recognition.language_model import Background

WORDS = 3500
"""How many of the most frequent words any caller may use."""
PAIRED_WORDS = 350
"""How many of the most frequent words are also known in pairs."""
LIKELIER = 1.5
"""A pair is kept when it is this much likelier than chance."""

Pairs = dict[str, dict[str, float]]


class EverydayEnglish:
    """How often words and pairs of words are said.

    Args:
        decoder: A decoder, for its log base and configuration.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._logmath = decoder.get_logmath()
        self._model = NGramModel(decoder.get_config(), self._logmath, get_model_path("en-us/en-us.lm.bin"))
        scored = sorted(((self._model.prob([word]), word) for word in _dictionary_words()), reverse=True)
        self._words = {word: self._logmath.exp(score) for score, word in scored[:WORDS]}
        self._frequent = list(self._words)[:PAIRED_WORDS]
        self._paired = set(self._frequent)
        self._pairs = self._pairs_of(self._frequent, self._frequent)

    def around(self, words: Iterable[str]) -> Background:
        """Return everyday English with the pairs that ``words`` form with frequent words."""
        fresh = sorted(set(words) - self._paired)
        self._paired.update(fresh)
        for pairs in (self._pairs_of(self._frequent, fresh), self._pairs_of(fresh, self._frequent)):
            for first, following in pairs.items():
                self._pairs.setdefault(first, {}).update(following)
        return Background(self._words, self._pairs)

    def _pairs_of(self, firsts: list[str], seconds: list[str]) -> Pairs:
        chance = {word: self._model.prob([word]) for word in seconds}
        margin = self._logmath.log(LIKELIER)
        pairs: Pairs = {}
        for first in firsts:
            # The model takes the newest word first.
            scores = ((second, self._model.prob([second, first])) for second in seconds)
            kept = {second: self._logmath.exp(score) for second, score in scores if score > chance[second] + margin}
            if kept:
                pairs[first] = kept
        return pairs


def _dictionary_words() -> list[str]:
    lines = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8").splitlines()
    words = (line.partition(" ")[0] for line in lines)
    return [word for word in words if re.fullmatch(r"[a-z]+('[a-z]+)?", word)]
