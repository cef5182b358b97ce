"""`SpectralFlux`: how much the spectrum of speech changes from one moment to the next, for windows that overlap.

livekit-agents paces a transcript to the voice with it: each 0.1 s of a voice, it is taken of the last second, in 79
steps. Nine tenths of that second are those of the time before, so that only eight steps are new.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

FRAME_SECONDS = 0.025

Audio = np.ndarray[Any, np.dtype[np.float32]]
Values = np.ndarray[Any, np.dtype[np.float64]]


class SpectralFlux:
    """The mean change of the magnitudes between frames of 25 ms that overlap by half.

    Args:
        step: So many samples the next window begins later than the one before; another window is taken as a whole.
    """

    def __init__(self, step: int) -> None:
        self._step = step
        self._window: Audio = np.empty(0, np.float32)
        self._changes: Values = np.empty(0)

    def of(self, audio: Audio, rate: int) -> float:
        """Return it of a window of mono audio, and 0 of one that is shorter than two frames.

        Args:
            audio: Samples from -1 to 1.
            rate: Samples a second.
        """
        length = int(rate * FRAME_SECONDS)
        hop = length // 2
        kept = self._kept(audio, hop)
        changes = np.concatenate([kept, _changes(audio[len(kept) * hop :], length, hop)])
        self._window, self._changes = audio.copy(), changes
        return float(np.mean(changes)) if len(changes) else 0.0

    def _kept(self, audio: Audio, hop: int) -> Values:
        """Return the changes of the window before that are also those at the begin of this one."""
        aligned = self._step % hop == 0 and len(audio) == len(self._window)
        if not aligned or not np.array_equal(audio[: -self._step], self._window[self._step :]):
            return self._changes[:0]
        return self._changes[self._step // hop :]


def _changes(audio: Audio, length: int, hop: int) -> Values:
    if len(audio) < length + hop:
        return np.empty(0)
    window, scale = _hanning(length)
    frames = np.lib.stride_tricks.sliding_window_view(audio, length)[::hop]
    magnitudes = np.abs(np.fft.rfft(frames * window) * scale)
    return np.abs(magnitudes[1:] - magnitudes[:-1]).sum(axis=1)  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=8)
def _hanning(length: int) -> tuple[Values, float]:
    window = np.hanning(length)
    return window, 1.0 / float(np.sqrt(np.sum(window**2)))
