"""Sound behind the talk, on a track of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, BackgroundAudioPlayer, JobContext, cli

from e2e.livekit_ways.paid import Ears, Mind, Voice

RATE = 48_000
CHUNK = RATE // 50
server = AgentServer()


async def hum(seconds: float) -> AsyncIterator[rtc.AudioFrame]:
    for number in range(round(seconds * RATE / CHUNK)):
        times = (np.arange(CHUNK) + number * CHUNK) / RATE
        samples = (np.sin(2 * np.pi * 500 * times) * 9000).astype(np.int16)
        yield rtc.AudioFrame(samples.tobytes(), RATE, 1, CHUNK)


class Operator(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You sit in a noisy office.")


@server.rtc_session(agent_name="background_audio")
async def entrypoint(ctx: JobContext) -> None:
    await ctx.connect()
    session = AgentSession[None](
        stt=Ears(),
        llm=Mind({"what time do you open": "We are open at all hours."}),
        tts=Voice(),
        vad=None,
        turn_handling={"turn_detection": "stt"},
    )
    await session.start(agent=Operator(), room=ctx.room)
    player = BackgroundAudioPlayer()
    await player.start(room=ctx.room, agent_session=session)
    ctx.add_shutdown_callback(player.aclose)
    await player.play(hum(1.0))
    await session.generate_reply(instructions="Say: Sorry for the noise in here.")


if __name__ == "__main__":
    cli.run_app(server)
