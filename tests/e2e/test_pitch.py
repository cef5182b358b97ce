"""The measure of a voice's height, on sounds whose height is known."""

from __future__ import annotations

import numpy as np
import pytest

from e2e.pcm import RATE, silence, to_pcm
from e2e.pitch import pitch


@pytest.mark.parametrize("hertz", [90.0, 130.0, 220.0])
def test_the_pitch_of_a_buzz_with_pauses_is_that_of_its_fundamental(hertz: float) -> None:
    times = np.arange(RATE) / RATE
    buzz = sum(np.sin(2 * np.pi * hertz * number * times) / number for number in range(1, 12))
    noise = np.random.default_rng(1).normal(0, 2000, RATE // 2)
    sound = np.concatenate([silence(0.3), to_pcm(8000 * np.asarray(buzz)), to_pcm(noise), silence(0.2)])
    assert pitch(sound) == pytest.approx(hertz, rel=0.03)
