"""Text as it can be spoken."""

from __future__ import annotations

import pytest

from openrtc_offline.speech.cleaning import LONGEST_PIECE, clean_text, split_text


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("It is **very** _good_.", "It is very good."),
        ("# Menu\n- tea\n- cake", "Menu tea cake"),
        ("See [our page](https://example.com/x?y=1) now", "See our page now"),
        ("Go to https://www.example.com/a/b", "Go to example.com"),
        ("Use `order_status` please", "Use order status please"),
        ("Done! 👍🏽🎉", "Done!"),
        ("a\x00b\x07c\u200b", "a b c"),
        ("It’s 5 < 6 & €3", "It's 5 < 6 & €3"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("👍", ""),
        ("...", ""),
        ("", ""),
    ],
)
def test_markup_emoji_and_control_characters_are_not_spoken(text: str, spoken: str) -> None:
    assert clean_text(text) == spoken


def test_text_is_cut_at_sentence_ends() -> None:
    assert split_text("One. Two! Is it 3.5? Yes") == ["One.", "Two!", "Is it 3.5?", "Yes"]


def test_a_very_long_sentence_is_cut_at_words() -> None:
    cut = split_text("word " * 200)
    assert " ".join(cut).split() == ["word"] * 200
    assert max(map(len, cut)) <= LONGEST_PIECE
    assert max(map(len, split_text("x" * 1000))) <= LONGEST_PIECE
