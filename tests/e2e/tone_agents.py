"""A package of agents that answer with a tone of their own, so that a recording shows who spoke."""

from __future__ import annotations

from e2e.packages import Package

TONES = {"alpha": 440.0, "beta": 700.0, "gamma": 1100.0}

SOURCE = """
import asyncio
import time

import numpy as np
from livekit import rtc
from livekit.agents import Agent

RATE = 24_000
CHUNK = RATE // 20


async def tone(frequency, seconds, ahead=None):
    began = time.monotonic()
    for index in range(round(seconds * RATE / CHUNK)):
        times = (np.arange(CHUNK) + index * CHUNK) / RATE
        samples = (np.sin(2 * np.pi * frequency * times) * 9000).astype(np.int16)
        yield rtc.AudioFrame(samples.tobytes(), RATE, 1, CHUNK)
        if ahead is None:
            await asyncio.sleep(0.04)  # like a model that speaks a little faster than real time
        else:  # like one that is much faster
            await asyncio.sleep(max(0.0, index * CHUNK / RATE - ahead - (time.monotonic() - began)))


class ToneAgent(Agent):
    frequency = 0.0
    seconds = 1.5
    ahead = None

    def __init__(self):
        super().__init__(instructions="You play a tone.")

    async def on_enter(self):
        self.session.say("tone", audio=tone(self.frequency, self.seconds, self.ahead))


class Alpha(ToneAgent):
    frequency = 440.0


class Beta(ToneAgent):
    frequency = 700.0


class Gamma(ToneAgent):
    frequency = 1100.0


class Steady(ToneAgent):
    frequency = 440.0
    seconds = 60.0
"""

TONE_AGENTS = Package(
    name="tone-agents",
    modules={"tone_agents.py": SOURCE},
    agents={
        "alpha": "tone_agents:Alpha",
        "beta": "tone_agents:Beta",
        "gamma": "tone_agents:Gamma",
        "steady": "tone_agents:Steady",
    },
    summary="Agents that play tones.",
)
ONLY_TONES = {"OPENRTC_ALLOW": TONE_AGENTS.name}
"""Environment in which no other installed package is used."""
