"""When there is sound, and where it has holes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from e2e.pcm import RATE, Pcm

FRAME = RATE // 100
LOUD = 300.0
"""Root mean square of a frame of 10 ms (of 32767) from which on it counts as sound."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in seconds from the beginning of the sound."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.start


def loudness(sound: Pcm) -> NDArray[np.float64]:
    """Return the root mean square of each 10 ms of ``sound``."""
    whole = sound[: len(sound) // FRAME * FRAME].astype(np.float64).reshape(-1, FRAME)
    means: NDArray[np.float64] = np.sqrt(np.mean(whole**2, axis=1))
    return means


def find_sounds(sound: Pcm, *, join: float = 0.0, at_least: float = 0.0, loud: float = LOUD) -> list[Span]:
    """Return when there is sound.

    Args:
        sound: What was recorded.
        join: Pauses of up to so many seconds are part of a span.
        at_least: Spans shorter than so many seconds are left out.
        loud: Root mean square from which on a frame counts.
    """
    spans: list[Span] = []
    for start, end in _runs(loudness(sound) >= loud):
        if spans and start - spans[-1].end <= join:
            spans[-1] = Span(spans[-1].start, end)
        else:
            spans.append(Span(start, end))
    return [span for span in spans if span.seconds >= at_least]


def first_sound(sound: Pcm, after: float = 0.0, *, at_least: float = 0.05, loud: float = LOUD) -> float | None:
    """Return when sound of some length is first heard after ``after``, both in seconds; None when there is none."""
    for span in find_sounds(sound[round(after * RATE) :], join=0.03, at_least=at_least, loud=loud):
        return after + span.start
    return None


def holes(sound: Pcm, *, at_least: float = 0.02, loud: float = LOUD) -> list[Span]:
    """Return the silences between the first and the last sound, of ``at_least`` so many seconds."""
    spans = find_sounds(sound, loud=loud)
    gaps = [Span(before.end, after.start) for before, after in pairwise(spans)]
    return [gap for gap in gaps if gap.seconds >= at_least - 1e-9]


def longest_hole(sound: Pcm, *, loud: float = LOUD) -> float:
    """Return the longest silence, in seconds, between the first and the last sound; 0 when there is no hole."""
    return max((gap.seconds for gap in holes(sound, at_least=0.01, loud=loud)), default=0.0)


def _runs(flags: NDArray[np.bool_]) -> list[tuple[float, float]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    times = edges * FRAME / RATE
    return [(float(start), float(end)) for start, end in times.reshape(-1, 2)]
