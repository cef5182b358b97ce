"""`e2e.tones`, on sounds that the test makes."""

from __future__ import annotations

import numpy as np
import pytest

from e2e.pcm import RATE, silence, to_pcm, tone
from e2e.tones import tones_heard, who_was_heard

TONES = {"alpha": 440.0, "beta": 660.0, "gamma": 1200.0}


def test_each_tone_is_heard_when_it_sounds() -> None:
    sound = np.concatenate([silence(0.5), tone(440, 1.0), silence(0.5), tone(1200, 0.5), tone(660, 0.5)])
    heard = [(span.who, round(span.start, 2), round(span.end, 2)) for span in tones_heard(sound, TONES)]
    assert heard == [("alpha", 0.5, 1.5), ("gamma", 2.0, 2.5), ("beta", 2.5, 3.0)]


def test_a_tone_in_noise_is_still_told() -> None:
    noise = np.random.default_rng(2).normal(0, 800, RATE)
    assert who_was_heard(to_pcm(tone(660, 1.0, amplitude=0.2) + noise), TONES) == {"beta"}


@pytest.mark.parametrize("frequency", [520.0, 900.0, 3000.0])
def test_another_tone_is_nobodys(frequency: float) -> None:
    assert who_was_heard(tone(frequency, 1.0), TONES) == {"?"}


def test_two_tones_at_once_are_not_taken_for_one() -> None:
    both = to_pcm(tone(440, 1.0).astype(float) + tone(1200, 1.0).astype(float) * 1.02)
    assert who_was_heard(both, TONES) <= {"?", "gamma"}
    assert "alpha" not in who_was_heard(both, TONES)


def test_silence_and_short_clicks_are_nobody() -> None:
    assert who_was_heard(np.concatenate([silence(0.5), tone(440, 0.04), silence(0.5)]), TONES) == set()
