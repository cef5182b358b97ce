"""Numbers between words and digits."""

from __future__ import annotations

import pytest

from openrtc_offline.numerals import find_codes, find_quantities, spell, spell_numbers


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (15, "fifteen"),
        (42, "forty two"),
        (305, "three hundred five"),
        (12_000, "twelve thousand"),
        (7_654_321, "seven six five four three two one"),
    ],
)
def test_a_number_is_spelled_as_one_says_it(number: int, words: str) -> None:
    assert spell(number) == words


def test_digits_that_start_with_zero_are_spelled_one_by_one() -> None:
    assert spell_numbers("dial 007 or 12").split() == ["dial", "zero", "zero", "seven", "or", "twelve"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("order number one two three four", "1234"),
        ("it is seven twenty five double four", "72544"),
        ("code nine oh five", "905"),
        ("number 4711", "4711"),
        ("two hundred", "200"),
    ],
)
def test_a_code_is_read_digit_by_digit(said: str, code: str) -> None:
    assert [digits for _, _, digits in find_codes(said.split())] == [code]


@pytest.mark.parametrize(
    ("said", "amounts"),
    [
        ("four people and two dogs", [4, 2]),
        ("two hundred and five euros", [205]),
        ("a hundred dollars", [100]),
        ("three thousand four hundred twenty one", [3421]),
        ("three point five", [3.5]),
        ("one two three", [1, 2, 3]),
        ("12 34", [12, 34]),
        ("a table and a chair", []),
    ],
)
def test_amounts_are_read_as_wholes(said: str, amounts: list[float]) -> None:
    assert [value for _, _, value in find_quantities(said.split())] == amounts
