"""What the callers say: three sentences of about three seconds, spoken by the offline voice and kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

RATE = 48000
PEAK = 16000
LOUD = 500
SENTENCES = (
    "Hello there, I would like to know where my order is right now please",
    "Could you tell me when the parcel will arrive at my front door today",
    "I am calling about the invoice that you have sent me last Monday morning",
)

Samples = np.ndarray[Any, np.dtype[np.int16]]


def write_speech(path: Path) -> None:
    """Speak the sentences and write them to ``path``."""
    from offline_speech import at_rate, synthesize  # with livekit-agents, which the callers do without

    np.savez(path, *(_pad_and_scale(at_rate(*synthesize(sentence), RATE)) for sentence in SENTENCES))


def read_speech(path: Path) -> list[Samples]:
    """Return what `write_speech` has written."""
    with np.load(path) as file:
        return [file[name] for name in file.files]


def _pad_and_scale(samples: Samples) -> Samples:
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    sound = samples[loud[0] : loud[-1]].astype(float)
    return (sound / np.abs(sound).max() * PEAK).astype(np.int16)
