"""The trigram model of what a caller may say."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest

from openrtc_offline.recognition.language_model import END, START, Background, TrigramModel

BACKGROUND = Background({"the": 0.5, "dog": 0.3, "word": 0.2}, {"the": {"dog": 0.4, "word": 0.1}, "a": {"dog": 0.2}})


@pytest.fixture
def arpa() -> dict[tuple[str, ...], tuple[float, float]]:
    model = TrigramModel([("tell me the word", 2.0), ("the secret word", 1.0)], BACKGROUND)
    assert model.words == {"tell", "me", "the", "word", "secret", "dog"}
    return read(model.to_arpa())


def read(text: str) -> dict[tuple[str, ...], tuple[float, float]]:
    grams = {}
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) > 1:
            backoff = float(parts[2]) if len(parts) > 2 else 0.0
            grams[tuple(parts[1].split())] = (10 ** float(parts[0]), 10**backoff)
    return grams


def probability(grams: dict[tuple[str, ...], tuple[float, float]], gram: tuple[str, ...]) -> float:
    if gram in grams:
        return grams[gram][0]
    backoff = grams[gram[:-1]][1] if gram[:-1] in grams else 1.0
    return backoff * probability(grams, gram[1:])


def test_the_probabilities_after_every_context_add_up_to_one(
    arpa: dict[tuple[str, ...], tuple[float, float]],
) -> None:
    vocabulary = [gram[0] for gram in arpa if len(gram) == 1 and gram[0] != START]
    assert END in vocabulary
    contexts = [(), ("the",), ("me",), ("dog",), ("me", "the"), ("the", "dog"), (START, "tell")]
    sums = {context: sum(probability(arpa, (*context, word)) for word in vocabulary) for context in contexts}
    assert all(math.isclose(total, 1.0, rel_tol=1e-3) for total in sums.values()), sums


def test_what_was_seen_is_likelier_than_what_was_not(arpa: dict[tuple[str, ...], tuple[float, float]]) -> None:
    assert probability(arpa, ("me", "the", "word")) > probability(arpa, ("me", "the", "dog")) > 0


def test_the_header_counts_the_grams() -> None:
    text = TrigramModel([("a b", 1.0)], Background()).to_arpa()
    counted: dict[int, int] = defaultdict(int)
    for gram in read(text):
        counted[len(gram)] += 1
    assert [f"ngram {order}={count}" for order, count in counted.items()] == text.splitlines()[1:4]
