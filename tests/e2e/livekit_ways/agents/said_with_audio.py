"""A greeting from a recording, by ``session.say`` with audio."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli

logger = logging.getLogger("said_with_audio")
server = AgentServer()

RATE = 24_000
CHUNK = RATE // 20


async def jingle() -> AsyncIterator[rtc.AudioFrame]:
    for frequency in (700, 950):
        for start in range(0, RATE // 2, CHUNK):
            times = (np.arange(CHUNK) + start) / RATE
            samples = (np.sin(2 * np.pi * frequency * times) * 9000).astype(np.int16)
            yield rtc.AudioFrame(samples.tobytes(), RATE, 1, CHUNK)


@server.rtc_session(agent_name="said_with_audio")
async def entrypoint(ctx: JobContext) -> None:
    session = AgentSession[None](vad=None)
    await session.start(agent=Agent(instructions="You play a jingle."), room=ctx.room)
    await ctx.connect()
    handle = session.say("A jingle.", audio=jingle(), allow_interruptions=False)
    await handle
    logger.info("said: %s, interrupted: %s", [item.type for item in handle.chat_items], handle.interrupted)


if __name__ == "__main__":
    cli.run_app(server)
