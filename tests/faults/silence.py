"""How long a listener heard nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from e2e.energy import FRAME, longest_hole
from e2e.pcm import Pcm
from e2e.recording import Recording

STALLED = 0.5
"""Seconds without any packet from which on it counts: shorter ones are the listener's own delays."""


def silence_between(recordings: list[Recording], start: float, end: float) -> float:
    """Return the longest time, in seconds, in which nothing was heard between two times of the wall clock.

    Args:
        recordings: The tracks of the one who was listened to, in the order in which they came.
        start: From when.
        end: Until when; silence at the edges counts.
    """
    heard = [recording for recording in recordings if recording.ended > start and recording.began < end]
    if not heard:
        return end - start
    inside = max(longest_silence(recording.between(start, end)) for recording in heard)
    return max(inside, _longest_stall(heard, start, end))


def longest_silence(sound: Pcm) -> float:
    """Return the longest silence in ``sound``, in seconds; one at its beginning or end counts, too."""
    edge = np.full(FRAME, 10_000, np.int16)
    return longest_hole(np.concatenate([edge, sound, edge]))


def _longest_stall(recordings: list[Recording], start: float, end: float) -> float:
    arrivals = [at for recording in recordings for _, at in recording.anchors if start <= at <= end]
    steps = [after - before for before, after in pairwise(sorted([start, *arrivals, end]))]
    return max((step for step in steps if step >= STALLED), default=0.0)
