"""What the callers say: three sentences of about three seconds, spoken by the offline voice and kept in a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np

RATE = 48000
PEAK = 16000
SENTENCES = (
    "Hello there, I would like to know where my order is right now please",
    "Could you tell me when the parcel will arrive at my front door today",
    "I am calling about the invoice that you have sent me last Monday morning",
)

Samples = np.ndarray[Any, np.dtype[np.int16]]


def write_speech(path: Path) -> None:
    """Speak the sentences and write them to ``path``."""
    np.savez(path, *asyncio.run(_speak()))


def read_speech(path: Path) -> list[Samples]:
    """Return what `write_speech` has written."""
    with np.load(path) as file:
        return [file[name] for name in file.files]


async def _speak() -> list[Samples]:
    from livekit.agents import Agent

    from openrtc.providers.provider import ProviderContext
    from openrtc_offline.provider import OfflineProvider

    provider = OfflineProvider()
    try:
        voice = provider.tts("espeak", ProviderContext(agent_name="caller", agent=Agent(instructions="")))
        frames = [await voice.synthesize(sentence).collect() for sentence in SENTENCES]
    finally:
        await asyncio.to_thread(provider.close)
    return [_ready(np.frombuffer(frame.data, np.int16), frame.sample_rate) for frame in frames]


def _ready(samples: Samples, rate: int) -> Samples:
    times = np.arange(int(len(samples) * RATE / rate)) * (rate / RATE)
    sound = np.interp(times, np.arange(len(samples)), samples)
    loud = np.flatnonzero(np.abs(sound) > 500)
    sound = sound[loud[0] : loud[-1]]
    return (sound / np.abs(sound).max() * PEAK).astype(np.int16)
