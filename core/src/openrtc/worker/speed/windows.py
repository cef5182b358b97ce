"""Cuts audio into the windows that the voice activity model takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from livekit import rtc
from livekit.local_inference import VAD_WINDOW_SAMPLES

MODEL_RATE = 16000
WINDOW: int = VAD_WINDOW_SAMPLES
"""Samples at the model's rate."""
WINDOW_SECONDS = WINDOW / MODEL_RATE

Samples = np.ndarray[Any, np.dtype[np.int16]]
NOTHING: Samples = np.empty(0, np.int16)


class Windows:
    """Cuts a stream of mono audio into windows at the model's rate.

    Args:
        rate: Samples a second of the stream.
    """

    def __init__(self, rate: int) -> None:
        self._ratio = rate / MODEL_RATE
        self._heard = self._resampled = NOTHING
        self._fraction = 0.0
        """What each window is longer than its whole number of heard samples, so that nothing drifts."""
        self._resampler = None if rate == MODEL_RATE else _resampler(rate)

    def push(self, frame: rtc.AudioFrame) -> Iterator[tuple[Samples, Samples]]:
        """Return each window that is complete now, and what was heard in it, at the stream's rate."""
        if frame.num_channels != 1:
            raise ValueError(f"voice activity detection takes mono audio, not {frame.num_channels} channels")
        heard = _joined(self._heard, frame)
        windows = heard if self._resampler is None else _joined(self._resampled, *self._resampler.push(frame))
        at = heard_at = 0
        while len(windows) - at >= WINDOW:
            count = self._next_count()
            yield windows[at : at + WINDOW], heard[heard_at : heard_at + count]
            at, heard_at = at + WINDOW, heard_at + count
        self._heard, self._resampled = heard[heard_at:].copy(), windows[at:].copy()

    def _next_count(self) -> int:
        exact = WINDOW * self._ratio + self._fraction
        count = int(exact)
        self._fraction = exact - count
        return count


def _resampler(rate: int) -> rtc.AudioResampler:
    quality = rtc.AudioResamplerQuality.QUICK
    return rtc.AudioResampler(input_rate=rate, output_rate=MODEL_RATE, quality=quality)


def _joined(before: Samples, *frames: rtc.AudioFrame) -> Samples:
    parts = [before, *(np.frombuffer(frame.data, np.int16) for frame in frames)]
    return np.concatenate(parts)
