"""Makes speech alike before it is recognised: one loudness, a little noise, silence around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # of the acoustic model that pocketsphinx brings
LOUDNESS = 3000.0
"""Root mean square of the speech, in units of a 16 bit sample."""

NOISE = 80.0
"""Root mean square of the noise: 31 dB below the speech."""

MARGIN_SECONDS = 0.2
"""Seconds of near silence before and after the speech."""

Samples = NDArray[np.int16]


def normalize_speech(pcm: bytes, pace: float = 1.0) -> Samples:
    """Return 16 kHz mono PCM16 at an even loudness, with faint noise.

    Args:
        pcm: Speech as 16 kHz mono PCM16.
        pace: Below 1.0 the speech is played slower and deeper, as by a tape.

    Synthetic speech holds digital silence and empty bands, whose logarithm is far off anything that the acoustic
    model was trained on; noise 31 dB below the speech takes most of the errors away.
    """
    samples = _change_pace(np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype=np.int16).astype(np.float64), pace)
    margin = np.zeros(int(MARGIN_SECONDS * SAMPLE_RATE))
    padded = np.concatenate([margin, samples * _measure_gain(samples), margin])
    noise = np.random.default_rng(0).normal(0.0, NOISE, len(padded))
    return np.clip(padded + noise, -32768, 32767).astype(np.int16)


def _change_pace(samples: NDArray[np.float64], pace: float) -> NDArray[np.float64]:
    if pace == 1.0 or not len(samples):
        return samples
    slower: NDArray[np.float64] = np.interp(np.arange(0, len(samples), pace), np.arange(len(samples)), samples)
    return slower


def _measure_gain(samples: NDArray[np.float64]) -> float:
    loud = samples[np.abs(samples) > max(50.0, 0.02 * float(np.abs(samples).max(initial=0.0)))]
    if not len(loud):
        return 1.0
    return min(20.0, LOUDNESS / float(np.sqrt(np.mean(loud**2))))
