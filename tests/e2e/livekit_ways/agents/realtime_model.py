"""A realtime model in the place of ears, mind and voice."""

from __future__ import annotations

import logging

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.plugins import openai

logger = logging.getLogger("realtime_model")
server = AgentServer()


@server.rtc_session(agent_name="realtime_model")
async def entrypoint(ctx: JobContext) -> None:
    await ctx.connect()
    session = AgentSession[None](llm=openai.realtime.RealtimeModel(voice="alloy"), vad=None)
    session.on("close", lambda event: logger.info("closed: %s", event.reason.value))
    await session.start(agent=Agent(instructions="You talk."), room=ctx.room)
    await session.generate_reply(instructions="Say these words: one two three four five six")


if __name__ == "__main__":
    cli.run_app(server)
