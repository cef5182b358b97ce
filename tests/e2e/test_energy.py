"""`e2e.energy` and `e2e.pcm`, on sounds that the test makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from e2e.energy import find_sounds, first_sound, holes, longest_hole
from e2e.pcm import RATE, Pcm, read_wav, resample, seconds_of, silence, tone, write_wav


def joined(*parts: Pcm) -> Pcm:
    return np.concatenate(parts)


def test_sound_is_found_where_it_is() -> None:
    sound = joined(silence(0.5), tone(440, 1.0), silence(1.0), tone(440, 0.3), silence(0.2))
    assert [(span.start, span.end) for span in find_sounds(sound)] == [(0.5, 1.5), (2.5, 2.8)]


def test_silence_has_no_sound_and_no_hole() -> None:
    noise = np.random.default_rng(1).normal(0, 20, RATE).astype(np.int16)
    for quiet in (silence(1.0), noise, silence(0.0)):
        assert find_sounds(quiet) == []
        assert first_sound(quiet) is None
        assert longest_hole(quiet) == 0.0


def test_pauses_are_joined_up_to_a_length() -> None:
    sound = joined(tone(440, 0.2), silence(0.1), tone(440, 0.2), silence(0.3), tone(440, 0.2))
    assert len(find_sounds(sound, join=0.15)) == 2


def test_the_first_sound_after_a_time_is_found_and_clicks_are_not_sound() -> None:
    sound = joined(tone(440, 0.5), silence(0.5), tone(440, 0.02), silence(0.48), tone(440, 0.5))
    assert first_sound(sound, after=0.6) == pytest.approx(1.5, abs=0.011)
    assert first_sound(sound, after=1.9) == pytest.approx(1.9, abs=0.011)
    assert first_sound(sound, after=2.1) is None


@pytest.mark.parametrize("length", [0.02, 0.06, 0.25, 1.0])
def test_a_hole_is_measured_to_ten_milliseconds(length: float) -> None:
    sound = joined(silence(0.3), tone(440, 1.0), silence(length), tone(440, 1.0), silence(0.3))
    assert longest_hole(sound) == pytest.approx(length, abs=0.0101)
    (hole,) = holes(sound, at_least=0.02)
    assert hole.start == pytest.approx(1.3, abs=0.0101)


def test_a_tone_without_a_hole_has_none() -> None:
    assert longest_hole(joined(silence(0.5), tone(440, 3.0), silence(0.5))) == 0.0


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_resampling_keeps_length_pitch_and_loudness(rate: int) -> None:
    times = np.arange(rate) / rate
    sound = resample((10_000 * np.sin(2 * np.pi * 700 * times)).astype(np.int16), rate)
    assert seconds_of(sound) == 1.0
    spectrum = np.abs(np.fft.rfft(sound.astype(float)))
    assert int(np.argmax(spectrum)) == 700
    assert np.max(np.abs(sound)) == pytest.approx(10_000, rel=0.02)


def test_a_wav_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    sound = tone(440, 0.3)
    write_wav(tmp_path / "new" / "a.wav", sound)
    assert np.array_equal(read_wav(tmp_path / "new" / "a.wav"), sound)
