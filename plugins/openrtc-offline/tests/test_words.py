"""Words compared as a listener does."""

from __future__ import annotations

import pytest

from openrtc_offline.rules.words import compare_stems, count_edits, find_stems, stem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("booking", "book"),
        ("reservations", "reserve"),
        ("opening", "open"),
        ("hours", "hour"),
        ("deliveries", "delivery"),
        ("cancelled", "cancel"),
        ("parking", "park"),
    ],
)
def test_forms_of_a_word_have_one_stem(one: str, other: str) -> None:
    assert compare_stems(stem(one), stem(other)) >= 0.8


@pytest.mark.parametrize(
    ("heard", "meant"), [("openings", "opening"), ("prescripton", "prescription"), ("ballance", "balance")]
)
def test_a_misheard_word_is_close(heard: str, meant: str) -> None:
    assert compare_stems(stem(heard), stem(meant)) > 0.5


@pytest.mark.parametrize(
    ("one", "other"),
    [("day", "way"), ("order", "border"), ("table", "cable"), ("account", "discount"), ("real", "read")],
)
def test_different_words_are_not_taken_for_each_other(one: str, other: str) -> None:
    assert compare_stems(one, other) == 0.0


def test_content_leaves_out_what_carries_no_meaning() -> None:
    assert find_stems("Can you please tell me the balance of my accounts?") == [
        "tell",
        stem("balance"),
        "account",
    ]


def test_distance_counts_letters() -> None:
    assert count_edits("kitten", "sitting") == 3
