"""`SpeechBuffer`: what is kept of what a caller says, with the moment before it."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from livekit import rtc

from openrtc.worker.speed.windows import Samples

logger = logging.getLogger("livekit.agents")


class SpeechBuffer:
    """The samples of the speech that goes on, after those of the moment before it.

    Args:
        rate: Samples a second.
        options: ``prefix_padding_duration`` and ``max_buffered_speech`` in seconds, as in livekit-agents' VAD.
    """

    def __init__(self, rate: int, options: Any) -> None:
        self._rate = rate
        self._options = options
        self._used = 0
        self._told_full = False
        self._prefix = int(options.prefix_padding_duration * rate)
        # Not filled, so that only what speech has needed so far takes memory.
        self._samples: Samples = np.empty(self._size, np.int16)

    @property
    def _size(self) -> int:
        return int(self._options.max_buffered_speech * self._rate) + self._prefix

    def append(self, samples: Samples) -> None:
        """Add what was heard, as far as there is room."""
        count = min(len(samples), len(self._samples) - self._used)
        if count > 0:
            self._samples[self._used : self._used + count] = samples[:count]
            self._used += count
        elif not self._told_full:
            self._told_full = True
            logger.warning("max_buffered_speech reached, ignoring further data for the current speech input")

    def keep_prefix(self) -> None:
        """Forget all but the last moment."""
        if self._used > self._prefix:
            self._told_full = False
            self._samples[: self._prefix] = self._samples[self._used - self._prefix : self._used].copy()
            self._used = self._prefix

    def clear(self) -> None:
        """Forget everything."""
        self._used = 0
        self._told_full = False

    def resize(self, *, grown: bool) -> None:
        """Follow changed options.

        Args:
            grown: Whether ``max_buffered_speech`` has become more.
        """
        self._prefix = int(self._options.prefix_padding_duration * self._rate)
        self._samples.resize(self._size)
        self._used = min(self._used, len(self._samples))
        self._told_full = self._told_full and not grown

    def frame(self) -> rtc.AudioFrame:
        """Return what is kept."""
        return frame_of(self._samples[: self._used], self._rate)


def frame_of(samples: Samples, rate: int) -> rtc.AudioFrame:
    """Return a copy of mono samples as a frame."""
    return rtc.AudioFrame(samples.tobytes(), rate, 1, len(samples))
