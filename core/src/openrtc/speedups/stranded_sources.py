"""`StrandedSources`: native audio sources that no room gives back, for calls to come.

Where the LiveKit server ends a room, because it was deleted or the agent removed, livekit's native library closes the
connection before it takes the tracks off it, and keeps what was published for ever (livekit/rust-sdks, issue 1443; seen
with livekit 1.1.21). Each such call left a thread that wakes up a hundred times a second: 150 of them took four tenths
of a core. Used again, there are as many as there were calls at once, and not as there ever were.
"""

from __future__ import annotations

import threading
import time
from typing import Any

LEFT_ALONE_SECONDS = 1.0
"""How long one is left alone: what was on its way into it then must not be heard by somebody else."""


class StrandedSources:
    """Native audio sources, by their sample rate and number of channels; used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[tuple[float, tuple[int, int], Any]] = []

    def add(self, sample_rate: int, num_channels: int, native: Any) -> None:
        """Keep one that its call needs no more.

        Args:
            sample_rate: Samples a second.
            num_channels: Channels.
            native: What `take` returns.
        """
        with self._lock:
            self._kept.append((time.monotonic() + LEFT_ALONE_SECONDS, (sample_rate, num_channels), native))

    def take(self, sample_rate: int, num_channels: int) -> Any:
        """Return one that nobody uses, None where there is none.

        Args:
            sample_rate: Samples a second.
            num_channels: Channels.
        """
        now = time.monotonic()
        with self._lock:
            for number, (quiet_at, kind, native) in enumerate(self._kept):
                if kind == (sample_rate, num_channels) and quiet_at <= now:
                    del self._kept[number]
                    return native
        return None


STRANDED_SOURCES = StrandedSources()
"""Those of this process."""
