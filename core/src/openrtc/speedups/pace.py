"""Speedup `pace`: how fast a voice speaks, which paces its transcript, is worked out from what is new of the sound.

livekit-agents looks each 0.1 s at the last second as a whole, frame by frame: 1.3 ms of the loop, where `SpectralFlux`
takes 0.1 ms (docs/performance.md). Its results are the same to the last bit.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from livekit.agents.voice.transcription._speaking_rate import SpeakingRateStream

SPECTRUM_SECONDS = 0.025
"""As in livekit-agents."""

Audio = np.ndarray[Any, np.dtype[np.float32]]
"""Mono samples from -1 to 1."""
Values = np.ndarray[Any, np.dtype[np.float64]]

_compute_upstream_flux = SpeakingRateStream._spectral_flux


def install() -> None:
    """From now on, work out how fast a voice speaks from what is new of it."""
    SpeakingRateStream._spectral_flux = _compute_flux  # type: ignore[assignment, method-assign]  # the patch


def uninstall() -> None:
    """Undo `install`."""
    SpeakingRateStream._spectral_flux = _compute_upstream_flux  # type: ignore[method-assign]  # the patch undone


def _compute_flux(stream: Any, audio: Audio, sample_rate: int) -> float:
    if not hasattr(stream, "_openrtc_flux"):
        stream._openrtc_flux = SpectralFlux(stream._step_size_samples)
    return stream._openrtc_flux.compute(audio, sample_rate)  # type: ignore[no-any-return]  # a float, of `SpectralFlux`


class SpectralFlux:
    """The mean change of the magnitudes between frames of 25 ms that overlap by half, of one window after the other.

    Args:
        step: So many samples the next window begins later than the one before; another window is taken as a whole.
    """

    def __init__(self, step: int) -> None:
        self._step = step
        self._window: Audio = np.empty(0, np.float32)
        self._changes: Values = np.empty(0)

    def compute(self, audio: Audio, rate: int) -> float:
        """Return the flux of a window, 0 for one that is shorter than two frames.

        Args:
            audio: The window.
            rate: Samples a second.
        """
        length = int(rate * SPECTRUM_SECONDS)
        hop = length // 2
        kept = self._keep_changes(audio, hop)
        changes = np.concatenate([kept, _compute_changes(audio[len(kept) * hop :], length, hop)])
        self._window, self._changes = audio.copy(), changes  # a copy: livekit-agents fills the same array again
        return float(np.mean(changes)) if len(changes) else 0.0

    def _keep_changes(self, audio: Audio, hop: int) -> Values:
        """Return the changes of the window before that are also those at the beginning of this one."""
        aligned = self._step % hop == 0 and len(audio) == len(self._window)
        # Compared, not assumed: after a flush, or a pause (of which no flux is asked), another window follows.
        if not aligned or not np.array_equal(audio[: -self._step], self._window[self._step :]):
            return self._changes[:0]
        return self._changes[self._step // hop :]


def _compute_changes(audio: Audio, length: int, hop: int) -> Values:
    if len(audio) < length + hop:
        return np.empty(0)
    window, scale = _build_hanning(length)
    frames = np.lib.stride_tricks.sliding_window_view(audio, length)[::hop]
    # In livekit-agents' order of operations: another one would give other last bits.
    magnitudes = np.abs(np.fft.rfft(frames * window) * scale)
    return np.abs(magnitudes[1:] - magnitudes[:-1]).sum(axis=1)  # type: ignore[no-any-return]  # numpy's stubs


@functools.lru_cache(maxsize=8)  # one for each sample rate
def _build_hanning(length: int) -> tuple[Values, float]:
    window = np.hanning(length)
    return window, 1.0 / float(np.sqrt(np.sum(window**2)))
