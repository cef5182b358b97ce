"""Sentences as the words that are spoken."""

from __future__ import annotations

import re

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def words(sentence: str) -> list[str]:
    """Return the words of ``sentence`` in lower case, without punctuation, and numbers below a hundred as words."""
    found = re.findall(r"[a-z']+|\d+", sentence.lower())
    return [word for token in found for word in (_number(token) if token.isdigit() else [token.strip("'")]) if word]


def word_errors(said: str, heard: str) -> float:
    """Return how many words were heard wrong, missed or added, for each word that was said."""
    expected, got = words(said), words(heard)
    row = list(range(len(got) + 1))
    for number, word in enumerate(expected, 1):
        before, row[0] = row[0], number
        for column, other in enumerate(got, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (word != other))
    return row[-1] / max(1, len(expected))


def _number(digits: str) -> list[str]:
    value = int(digits)
    if value < len(_ONES):
        return [_ONES[value]]
    if value < 100:
        ones = [_ONES[value % 10]] if value % 10 else []
        return [_TENS[value // 10 - 2], *ones]
    return [_ONES[int(digit)] for digit in digits]
