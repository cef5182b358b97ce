"""Whose tone is heard, and when: tests distinguish agents by the tones in which they speak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from e2e.energy import LOUD
from e2e.pcm import RATE, Pcm

WINDOW = RATE // 20
_POINTS = 8192
_WIDTH = 30.0
_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Heard:
    """A tone, whose it is, and from when to when it was heard, in seconds."""

    who: str
    start: float
    end: float


def whose_tone(window: Pcm, tones: Mapping[str, float]) -> str | None:
    """Return who speaks in ``window``: None for silence, and ``"?"`` for sound in which no known tone prevails."""
    samples = window.astype(np.float64)
    if not len(samples) or np.sqrt(np.mean(samples**2)) < LOUD:
        return None
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), _POINTS)) ** 2
    frequencies = np.fft.rfftfreq(_POINTS, 1 / RATE)

    def share(frequency: float) -> float:
        return float(power[np.abs(frequencies - frequency) <= _WIDTH].sum() / power.sum())

    who = max(tones, key=lambda name: share(tones[name]))
    return who if share(tones[who]) >= _SHARE else "?"


def tones_heard(
    sound: Pcm, tones: Mapping[str, float], *, at_least: float = 0.1, known: list[str | None] | None = None
) -> list[Heard]:
    """Return who spoke when, in windows of 50 ms; changes shorter than ``at_least`` seconds are left out.

    Args:
        sound: What was heard.
        tones: The tone of each who may speak.
        at_least: In seconds.
        known: Whose tone each window has, as far as that is known of the beginning of this sound; is added to.
    """
    step = WINDOW / RATE
    known = [] if known is None else known
    for index in range(len(known), len(sound) // WINDOW):
        known.append(whose_tone(sound[index * WINDOW : (index + 1) * WINDOW], tones))
    spans: list[Heard] = []
    for index, who in enumerate(known):
        start = index * step
        if who is None:
            continue
        if spans and spans[-1].who == who and start - spans[-1].end < step / 2:
            spans[-1] = Heard(who, spans[-1].start, start + step)
        else:
            spans.append(Heard(who, start, start + step))
    return [span for span in spans if span.end - span.start >= at_least - 1e-9]


def who_was_heard(sound: Pcm, tones: Mapping[str, float], *, at_least: float = 0.1) -> set[str]:
    """Return everybody whose tone was heard."""
    return {span.who for span in tones_heard(sound, tones, at_least=at_least)}
