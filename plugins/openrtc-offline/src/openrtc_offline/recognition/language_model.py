"""A word trigram model of what a caller may say to one agent, written in the ARPA format."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

START, END = "<s>", "</s>"
DISCOUNT = 0.5
"""What is taken from each count, for sequences that were not counted."""

BACKGROUND_SHARE = 0.3
"""Share of everyday English among single words."""

PAIR_SHARE = 0.9
"""Share of everyday pairs in what follows a word where the agent's own sentences do not say."""

SILENT_LOG = -99.0
"""How the ARPA format writes the logarithm of 0."""

Counts = dict[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Background:
    """Everyday English: how often words, and pairs of words, are said.

    Args:
        words: Relative frequency of each word.
        pairs: For a word, the probabilities of what follows it; only the likelier ones.
    """

    words: Mapping[str, float] = field(default_factory=dict)
    pairs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class TrigramModel:
    """Counts of word sequences, smoothed by absolute discounting down to everyday English.

    Args:
        sentences: Each sentence with its weight.
        background: What is not in the sentences can still be recognised through it.
    """

    def __init__(self, sentences: Iterable[tuple[str, float]], background: Background) -> None:
        self._counts: tuple[Counts, Counts, Counts] = (defaultdict(float), defaultdict(float), defaultdict(float))
        for sentence, weight in sentences:
            self._count(sentence.split(), weight)
        self._background = background
        self._unigrams = self._smooth_unigrams()
        self._bigrams, self._bigram_backoff = self._smooth(2, *self._mix_pairs())
        self._trigrams, self._trigram_backoff = self._smooth(3, self._bigrams, {})

    @property
    def words(self) -> set[str]:
        """Every word that the model can produce."""
        return {gram[0] for gram in self._unigrams} - {START, END}

    def to_arpa(self) -> str:
        """Return the model as ARPA text."""
        levels: tuple[tuple[Counts, Counts], ...] = (
            (self._unigrams, self._bigram_backoff),
            (self._bigrams, self._trigram_backoff),
            (self._trigrams, {}),
        )
        lines = ["\\data\\", *(f"ngram {n}={len(probs)}" for n, (probs, _) in enumerate(levels, 1))]
        for order, (probabilities, backoff) in enumerate(levels, 1):
            lines += ["", f"\\{order}-grams:"]
            lines += [_format_arpa_line(gram, p, backoff.get(gram), order) for gram, p in sorted(probabilities.items())]
        return "\n".join([*lines, "", "\\end\\", ""])

    def _count(self, words: list[str], weight: float) -> None:
        padded = [START, *words, END]
        for order, counts in enumerate(self._counts, 1):
            for i in range(len(padded) - order + 1):
                counts[tuple(padded[i : i + order])] += weight

    def _smooth_unigrams(self) -> Counts:
        counts = {gram: count for gram, count in self._counts[0].items() if gram != (START,)}
        total = sum(counts.values()) or 1.0
        mass = sum(self._background.words.values()) or 1.0
        probabilities = {gram: (1 - BACKGROUND_SHARE) * count / total for gram, count in counts.items()}
        for word, frequency in self._background.words.items():
            probabilities[(word,)] = probabilities.get((word,), 0.0) + BACKGROUND_SHARE * frequency / mass
        probabilities[(START,)] = 0.0
        return probabilities

    def _mix_pairs(self) -> tuple[Counts, Counts]:
        """Return what a pair falls back to where it was not counted, and the weight left for single words."""
        known = {
            v: {w: p for w, p in follow.items() if (w,) in self._unigrams}
            for v, follow in self._background.pairs.items()
        }
        rest: Counts = {
            (v,): 1 - PAIR_SHARE * sum(follow.values()) for v, follow in known.items() if (v,) in self._unigrams
        }
        lower = {gram: rest.get(gram[:1], 1.0) * self._unigrams[gram[1:]] for gram in self._counts[1]}
        for v, follow in known.items():
            if (v,) in rest:
                for w, p in follow.items():
                    lower[v, w] = PAIR_SHARE * p + rest[(v,)] * self._unigrams[(w,)]
        return lower, rest

    def _smooth(self, order: int, lower: Counts, rest: Counts) -> tuple[Counts, Counts]:
        counts = self._counts[order - 1]
        totals: Counts = defaultdict(float)
        kinds: Counts = defaultdict(float)
        for gram, count in counts.items():
            totals[gram[:-1]] += count
            kinds[gram[:-1]] += min(count, DISCOUNT)
        left = {context: kinds[context] / totals[context] for context in totals}
        grams = counts.keys() | lower.keys() if order == 2 else counts.keys()
        probabilities = {}
        for gram in grams:
            context = gram[:-1]
            seen = max(counts.get(gram, 0.0) - DISCOUNT, 0.0) / totals.get(context, 1.0)
            probabilities[gram] = seen + left.get(context, 1.0) * lower[gram if order == 2 else gram[1:]]
        backoff = {context: left.get(context, 1.0) * rest.get(context, 1.0) for context in {g[:-1] for g in grams}}
        return probabilities, backoff


def _format_arpa_line(gram: tuple[str, ...], probability: float, backoff: float | None, order: int) -> str:
    log = math.log10(probability) if probability > 0 else SILENT_LOG
    text = f"{log:.4f}\t{' '.join(gram)}"
    if order == 3:
        return text
    return f"{text}\t{math.log10(backoff) if backoff else 0.0:.4f}"
