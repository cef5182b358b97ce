"""What a caller heard from one participant, and when, by the wall clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from e2e.energy import first_sound
from e2e.pcm import RATE, Pcm, read_wav


@dataclass(frozen=True)
class Recording:
    """One audio track as it was heard.

    Args:
        identity: Whose track it was.
        sid: The track's id.
        sound: All that was heard.
        anchors: Numbers of samples and the times at which they had arrived, rising.
    """

    identity: str
    sid: str
    sound: Pcm
    anchors: tuple[tuple[int, float], ...]

    @classmethod
    def load(cls, saved: dict[str, Any]) -> Recording:
        """Read what the callers' process saved."""
        anchors = tuple((int(sample), float(at)) for sample, at in saved["anchors"])
        return cls(saved["identity"], saved["sid"], read_wav(Path(saved["path"])), anchors)

    @property
    def began(self) -> float:
        """When the first sample was heard."""
        return self.time_of(0)

    @property
    def ended(self) -> float:
        """When the last sample was heard."""
        return self.time_of(len(self.sound))

    def time_of(self, sample: int) -> float:
        """Return when ``sample`` was heard."""
        numbers, times = zip(*self.anchors, strict=True)
        return float(np.interp(sample, numbers, times))

    def sample_at(self, at: float) -> int:
        """Return the number of the sample that was heard at a time."""
        numbers, times = zip(*self.anchors, strict=True)
        return int(np.interp(at, np.maximum.accumulate(times), numbers))

    def between(self, start: float, end: float | None = None) -> Pcm:
        """Return what was heard between two times, as long as it was when it was sent."""
        last = len(self.sound) if end is None else self.sample_at(end)
        return self.sound[self.sample_at(start) : last]

    def first_sound_after(self, at: float) -> float | None:
        """Return the time of the first sound after ``at``; None when there was none."""
        first = self.sample_at(at)
        found = first_sound(self.sound[first:])
        return None if found is None else self.time_of(first + round(found * RATE))


def heard_after(recordings: Iterable[Recording], at: float) -> list[str]:
    """Return the identities of those who made a sound after ``at``, the first one first."""
    firsts = [(first, recording.identity) for recording in recordings if (first := recording.first_sound_after(at))]
    return [identity for _, identity in sorted(firsts)]
