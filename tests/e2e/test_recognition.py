"""`e2e.speech` and `e2e.recognition`: sentences are spoken and recognised, and what was not said is not heard."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from e2e.pcm import RATE, seconds_of, silence, tone
from e2e.recognition import OTHERS, WORST_FIT, Recogniser
from e2e.speech import Voice
from e2e.spoken_words import word_errors

SENTENCES = (
    "Order number 7 is on the truck, and arrives on Friday.",
    "We are open every day from nine in the morning until six in the evening.",
    "The large plan costs thirty dollars a month.",
    "The red truck is free, and waits at the harbor.",
    "My tank is half full.",
)
NEVER_SAID = (
    "Follow the river for nine miles, and stop at the yellow gate.",
    "Put the green label on the box, and take it to any post office.",
    "Hello, this is the sales desk.",
)


@pytest.fixture(scope="module", params=dict.fromkeys([Voice().engine, "espeakng-loader"]))
def voice(request: pytest.FixtureRequest) -> Iterator[Voice]:
    with Voice(request.param) as speaking:
        yield speaking


def test_a_sentence_is_spoken_without_silence_around_it(voice: Voice) -> None:
    sound = voice.say(SENTENCES[0])
    assert 2.0 < seconds_of(sound) < 6.0
    assert voice.say(SENTENCES[0]) is sound


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_sentence_that_was_said_is_heard(voice: Voice, recogniser: Recogniser, sentence: str) -> None:
    padded = np.concatenate([silence(0.7), voice.say(sentence), silence(1.2)])
    assert recogniser.which(padded, SENTENCES) == sentence
    assert recogniser.best(padded, SENTENCES)[1] > WORST_FIT + 0.4


@pytest.mark.parametrize("sentence", NEVER_SAID)
def test_another_sentence_is_none_of_them(voice: Voice, recogniser: Recogniser, sentence: str) -> None:
    assert recogniser.which(voice.say(sentence), SENTENCES) is None


@pytest.mark.parametrize("sentence", [OTHERS[0], OTHERS[3]])
def test_an_excuse_is_none_of_them(voice: Voice, recogniser: Recogniser, sentence: str) -> None:
    assert recogniser.which(voice.say(sentence), SENTENCES) is None


def test_half_a_sentence_is_none_of_them(voice: Voice, recogniser: Recogniser) -> None:
    whole = voice.say(SENTENCES[1])
    assert recogniser.which(whole[: len(whole) // 2], SENTENCES) is None


def test_tones_silence_and_noise_are_none_of_them(recogniser: Recogniser) -> None:
    noise = np.random.default_rng(4).normal(0, 3000, 2 * RATE).astype(np.int16)
    for sound in (tone(440, 2.0), silence(2.0), noise):
        assert recogniser.which(sound, SENTENCES) is None


def test_a_word_that_differs_is_told_when_both_sentences_are_given(voice: Voice, recogniser: Recogniser) -> None:
    days = [f"Your demonstration is booked for {day}." for day in ("Monday", "Tuesday", "Friday")]
    for sentence in days:
        assert recogniser.which(voice.say(sentence), days) == sentence


def test_any_sentence_is_transcribed_roughly(voice: Voice, recogniser: Recogniser) -> None:
    heard = recogniser.transcribe(voice.say(SENTENCES[2]))
    assert word_errors(SENTENCES[2], heard) <= 0.7


def test_a_word_that_the_recogniser_does_not_know_is_an_error(recogniser: Recogniser) -> None:
    with pytest.raises(ValueError, match="not in the recogniser's dictionary: xylophagous"):
        recogniser.which(tone(440, 1.0), ["a xylophagous beetle"])
