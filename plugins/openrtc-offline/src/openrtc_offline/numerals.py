"""Turns numbers into words and back: ``twenty five`` is 25, ``one two three four`` is the code 1234."""

from __future__ import annotations

import re

UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
VALUES = {word: i for i, word in enumerate(UNITS)} | {word: 10 * i for i, word in enumerate(TENS) if i > 1}
VALUES["oh"] = 0  # as people read numbers aloud
MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 1_000_000}


def spell(number: int) -> str:
    """Return ``number`` in English words; more than six digits are spelled digit by digit."""
    if number >= 1_000_000:
        return " ".join(UNITS[int(digit)] for digit in str(number))
    if number >= 1000:
        return _join_number(f"{spell(number // 1000)} thousand", number % 1000)
    if number >= 100:
        return _join_number(f"{UNITS[number // 100]} hundred", number % 100)
    if number >= 20:
        return _join_number(TENS[number // 10], number % 10)
    return UNITS[number]


def spell_numbers(text: str) -> str:
    """Return ``text`` with every run of digits in words; a run that starts with 0 is spelled digit by digit."""
    return re.sub(r"\d+", _spell_match, text)


def _spell_match(match: re.Match[str]) -> str:
    digits = match.group()
    code = digits.startswith("0") and len(digits) > 1
    return f" {' '.join(UNITS[int(d)] for d in digits) if code else spell(int(digits))} "


def _join_number(head: str, rest: int) -> str:
    return f"{head} {spell(rest)}" if rest else head


def find_codes(words: list[str]) -> list[tuple[int, int, str]]:
    """Return the runs of numbers in ``words`` read as codes: start, end (exclusive) and digits.

    ``seven twenty five double four`` is ``72544``; written digits are taken as they are.
    """
    runs: list[tuple[int, int, str]] = []
    start = 0
    while start < len(words):
        end, digits = _read_code(words, start)
        if digits:
            runs.append((start, end, digits))
        start = max(end, start + 1)
    return runs


def _read_code(words: list[str], start: int) -> tuple[int, str]:
    position, digits = start, ""
    while position < len(words):
        taken, more = _read_code_part(words[position], words[position + 1 : position + 2], digits)
        if not taken:
            break
        position, digits = position + taken, digits + more
    return position, digits


def _read_code_part(word: str, following: list[str], digits: str) -> tuple[int, str]:
    """Return how many words the next part of a code takes, and its digits."""
    unit = VALUES.get(following[0], 10) if following else 10
    if word in ("double", "triple") and unit < 10:
        return 2, str(unit) * (2 if word == "double" else 3)
    if word in TENS[2:] and 0 < unit < 10:
        return 2, str(VALUES[word] + unit)
    if word.isdigit():
        return 1, word
    if word in VALUES:
        return 1, str(VALUES[word])
    if word in MULTIPLIERS and digits:
        return 1, "0" * (len(str(MULTIPLIERS[word])) - 1)
    return 0, ""


def find_quantities(words: list[str]) -> list[tuple[int, int, float]]:
    """Return the runs of numbers in ``words`` read as amounts: start, end (exclusive) and value.

    ``two hundred and five`` is 205, ``three point five`` is 3.5.
    """
    found: list[tuple[int, int, float]] = []
    start = 0
    while start < len(words):
        quantity = _Quantity(words, start)
        if quantity.seen:
            found.append((start, quantity.end, quantity.value))
        start = max(quantity.end, start + 1)
    return found


class _Quantity:
    """Reads one amount from ``start`` on, word by word."""

    def __init__(self, words: list[str], start: int) -> None:
        self._words = words
        self._thousands = self._current = self._fraction = 0.0
        self.seen = False
        self.end = start
        while self.end < len(words) and self._accept(words[self.end]):
            self.end += 1
        if not self.seen:
            self.end = start

    @property
    def value(self) -> float:
        return self._thousands + self._current + self._fraction

    def _accept(self, word: str) -> bool:
        if self._fraction:
            return False
        if word in MULTIPLIERS:
            return self._multiply(MULTIPLIERS[word])
        if re.fullmatch(r"\d+(?:\.\d+)?", word):
            return self._add(float(word))
        if word in VALUES:
            return self._add(VALUES[word])
        return self._accept_link(word)

    def _multiply(self, factor: int) -> bool:
        if not self.seen and self._words[self.end - 1 : self.end] != ["a"]:
            return False
        self._current, self.seen = (self._current or 1.0) * factor, True
        if factor > 100:
            self._thousands, self._current = self._thousands + self._current, 0.0
        return True

    def _add(self, number: float) -> bool:
        hundreds = self._current % 100 == 0 and number < 100
        tens = self._current % 10 == 0 and self._current % 100 >= 20 and 0 < number < 10
        if self.seen and self._current and not (hundreds or tens):
            return False
        self._current, self.seen = self._current + number, True
        return True

    def _accept_link(self, word: str) -> bool:
        following = "".join(self._words[self.end + 1 : self.end + 2])
        number_follows = following in VALUES or following.isdigit()
        if word == "a":
            return not self.seen and following in MULTIPLIERS
        if word == "and":
            return self.seen and number_follows and self.value >= 100
        if word == "point" and self.seen and number_follows:
            end, digits = _read_code(self._words, self.end + 1)
            self._fraction, self.end = float(f"0.{digits}"), end - 1
            return True
        return False
