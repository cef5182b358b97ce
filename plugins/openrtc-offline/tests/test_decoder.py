"""What is kept of a recogniser's hypothesis."""

from __future__ import annotations

import sys

import pytest

if sys.version_info >= (3, 14):  # for which it has no wheel; elsewhere it must be there
    pytest.importorskip("pocketsphinx")

from openrtc_offline.recognition.decoder import UNCLEAR, RecognizedSpeech, select_sure_words


def test_a_sure_hypothesis_is_told_whole() -> None:
    heard = select_sure_words([("", 1.0), ("secret", 0.9), ("word", 0.4)])
    assert heard.text == "secret word" and 0.5 < heard.confidence < 0.7


def test_of_a_doubtful_hypothesis_only_the_sure_words_are_told() -> None:
    assert select_sure_words([("submit", 0.9), ("the", 0.01), ("hospital", 0.02)]).text == "submit"


def test_a_hypothesis_without_a_sure_word_is_unclear_and_a_single_doubtful_word_is_nothing() -> None:
    assert select_sure_words([("late", 0.05), ("fees", 0.1)]).text == UNCLEAR
    assert select_sure_words([("late", 0.05)]).text == ""


def test_a_caller_who_only_hums_said_nothing() -> None:
    assert select_sure_words([("mhm", 0.9), ("", 1.0), ("uh", 0.9)]) == RecognizedSpeech("", 0.0)
    assert select_sure_words([]) == RecognizedSpeech("", 0.0)
