"""Where in a chirp one was, and when: its frequency rises evenly."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from e2e.energy import LOUD
from e2e.pcm import RATE
from e2e.recording import Recording

FIRST_HZ = 400.0
HZ_A_SECOND = 100.0
WINDOW = RATE // 25
_POINTS = 16_384
_EDGES = 3
"""Windows beside a silence that are left out: the network fades, and fills in what it misses."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A silence within a chirp.

    Args:
        began: When, by the wall clock.
        seconds: How long it was.
        lost: Seconds of the chirp that were never heard; below 0 for what was heard twice.
    """

    began: float
    seconds: float
    lost: float


class HeardChirp:
    """A chirp as it was heard.

    Args:
        recording: What was heard.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        starts = range(0, len(recording.sound) - WINDOW, WINDOW)
        self._loud = [(start, _position(recording, start)) for start in starts if _is_loud(recording, start)]

    @property
    def ended(self) -> float:
        """When the last sound was heard, by the wall clock."""
        return self._recording.time_of(self._loud[-1][0] + WINDOW)

    @property
    def last(self) -> float:
        """How many seconds of the chirp had been heard by then."""
        return self._loud[-_EDGES][1] + (_EDGES - 0.5) * WINDOW / RATE

    def holes(self, at_least: float) -> list[Hole]:
        """Return the silences of at least so many seconds."""
        found = []
        for index, ((before, _), (after, _)) in enumerate(pairwise(self._loud)):
            seconds = (after - before - WINDOW) / RATE
            if seconds >= at_least:
                (first, played), (then, goes_on) = self._loud[index + 1 - _EDGES], self._loud[index + _EDGES]
                lost = goes_on - played - ((then - first) / RATE - seconds)
                found.append(Hole(self._recording.time_of(before + WINDOW), seconds, lost))
        return found


def _is_loud(recording: Recording, start: int) -> bool:
    window = recording.sound[start : start + WINDOW].astype(np.float64)
    return bool(np.sqrt(np.mean(window**2)) >= LOUD)


def _position(recording: Recording, start: int) -> float:
    window = recording.sound[start : start + WINDOW].astype(np.float64)
    power = np.abs(np.fft.rfft(window * np.hanning(WINDOW), _POINTS))
    return (float(power.argmax()) * RATE / _POINTS - FIRST_HZ) / HZ_A_SECOND
