"""Pronunciations of words that the dictionary lacks."""

from __future__ import annotations

import pytest

from openrtc_offline.recognition.pronunciation import pronounce

KNOWN = {"refill": "R IY F IH L", "book": "B UH K", "shop": "SH AA P", "open": "OW P AH N", "fax": "F AE K S"}


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("refills", "R IY F IH L Z"),
        ("faxes", "F AE K S IH Z"),
        ("booked", "B UH K T"),
        ("bookshop", "B UH K SH AA P"),
        ("xkcd", "EH K S K EY S IY D IY"),
        ("phone", "F OW N"),
        ("zibbo", "Z IH B OW"),
        ("123", None),
    ],
)
def test_a_word_is_pronounced_by_its_parts_else_by_its_letters(word: str, phones: str | None) -> None:
    assert pronounce(word, KNOWN.get) == phones


@pytest.mark.parametrize("word", ["livekit", "openrtc", "qwxzvbn", "aeiou", "rhythm", "strengths", "xylophone"])
def test_every_word_gets_phones_of_the_acoustic_model(word: str) -> None:
    phones = pronounce(word, lambda _: None)
    known = (
        "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
    ).split()
    assert phones and set(phones.split()) <= set(known)
