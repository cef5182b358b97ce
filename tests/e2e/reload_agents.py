"""An agent that never stops to speak, and what the agents of a package need that is edited meanwhile."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import Agent

from e2e.agent_packages import QUESTION, QUESTION_HZ
from e2e.cast_agents import TURNS
from e2e.cast_models import ToneSTT, ToneTTS
from openrtc import AgentSpec

STEADY_HZ = 600.0
PIECE = 480
STEADY_RATE = 24_000


class Steady(Agent):
    """Never stops to speak."""

    def __init__(self) -> None:
        super().__init__(instructions="You hum.")

    async def on_enter(self) -> None:
        """Hum."""
        self.session.say("a hum", audio=play(STEADY_HZ, 3600.0, ahead=0.5))


def build_spec(**options: Any) -> AgentSpec:
    """Return how an agent is built that knows a caller's tone."""
    models: dict[str, Any] = {"llm": None, "stt": lambda: ToneSTT({QUESTION: QUESTION_HZ})}
    return AgentSpec(tts=lambda: ToneTTS(STEADY_HZ), session_options=TURNS, **(models | options))


async def play(frequency: float, seconds: float, ahead: float = 60.0) -> AsyncIterator[rtc.AudioFrame]:
    """Give a tone, at most some seconds before it is heard."""
    import asyncio

    began = time.monotonic()
    for index in range(round(seconds * STEADY_RATE / PIECE)):
        if (early := began + index * PIECE / STEADY_RATE - ahead - time.monotonic()) > 0:
            await asyncio.sleep(early)
        times = (np.arange(PIECE) + index * PIECE) / STEADY_RATE
        sound = (np.sin(2 * np.pi * frequency * times) * 8000).astype(np.int16)
        yield rtc.AudioFrame(sound.tobytes(), STEADY_RATE, 1, PIECE)


steady = build_spec(agent=Steady)
