"""How high a voice is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from e2e.energy import LOUD
from e2e.pcm import RATE, Pcm

WINDOW = RATE * 40 // 1000
LOWEST, HIGHEST = 70.0, 400.0
VOICED = 0.6
"""How much a voiced window is like itself one period later; 1 is the same."""


def pitch(sound: Pcm) -> float:
    """Return the median fundamental frequency of the voiced parts, in hertz, by autocorrelation."""
    windows = sound[: len(sound) // WINDOW * WINDOW].astype(np.float64).reshape(-1, WINDOW)
    found = [_pitch_of(window) for window in windows if np.sqrt(np.mean(window**2)) >= LOUD]
    voiced = [frequency for frequency in found if frequency is not None]
    assert len(voiced) >= 10, f"only {len(voiced)} of {len(windows)} windows are voiced"
    return float(np.median(voiced))


def _pitch_of(window: NDArray[np.float64]) -> float | None:
    window = window - window.mean()
    alike = np.correlate(window, window, "full")[WINDOW - 1 :] / np.arange(WINDOW, 0, -1)
    shortest, longest = round(RATE / HIGHEST), round(RATE / LOWEST)
    searched = alike[shortest:longest]
    first = int(np.argmax(searched >= 0.9 * searched.max()))  # two periods are alike, too
    period = shortest + first + int(np.argmax(searched[first : first + shortest // 2]))
    return RATE / period if alike[period] >= VOICED * alike[0] else None
