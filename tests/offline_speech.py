"""Speech from the offline voice, for tests of what is done with audio."""

from __future__ import annotations

import asyncio
import functools

import numpy as np
from livekit import rtc
from livekit.agents import Agent

from openrtc.model.provider import ProviderContext
from openrtc.speedups.vad_detector import Samples
from openrtc_offline.provider import OfflineProvider


@functools.cache
def synthesize(text: str) -> tuple[Samples, int]:
    """Return a sentence in the offline voice: mono samples, and how many there are in a second."""

    async def speak() -> rtc.AudioFrame:
        tts = provider.tts("espeak", ProviderContext(agent_name="desk", agent=Agent(instructions="")))
        frame: rtc.AudioFrame = await tts.synthesize(text).collect()
        return frame

    provider = OfflineProvider()
    frame = asyncio.run(speak())
    provider.close()
    return np.frombuffer(frame.data, np.int16), frame.sample_rate


def at_rate(samples: Samples, rate: int, wanted: int) -> Samples:
    """Return mono samples at another rate, both in samples a second."""
    times = np.arange(int(len(samples) * wanted / rate)) * (rate / wanted)
    resampled: Samples = np.interp(times, np.arange(len(samples)), samples).astype(np.int16)
    return resampled
