"""`e2e.spoken_words`."""

from __future__ import annotations

import pytest

from e2e.spoken_words import word_errors, words


@pytest.mark.parametrize(
    ("sentence", "spoken"),
    [
        (
            "Order number 7 is on the truck, and arrives on Friday.",
            "order number seven is on the truck and arrives on friday",
        ),
        ("It's 42 or 90 miles; room 105.", "it's forty two or ninety miles room one zero five"),
        ("'Hello' there!", "hello there"),
        ("", ""),
    ],
)
def test_a_sentence_is_the_words_that_are_spoken(sentence: str, spoken: str) -> None:
    assert " ".join(words(sentence)) == spoken


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("the red truck is free", "the red truck is free", 0.0),
        ("the red truck is free", "the red is three", 0.4),
        ("the red truck is free", "", 1.0),
        ("one", "one two three", 2.0),
    ],
)
def test_words_that_are_wrong_missed_or_added_are_counted(said: str, heard: str, errors: float) -> None:
    assert word_errors(said, heard) == errors
