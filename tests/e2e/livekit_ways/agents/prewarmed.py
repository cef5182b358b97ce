"""A model that is loaded once a process, by ``setup_fnc``, and used by each call."""

from __future__ import annotations

import logging

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, JobProcess, cli

from e2e.livekit_ways.paid import Ears, Mind, Voice
from e2e.loud_vad import LoudVAD

logger = logging.getLogger("prewarmed")
server = AgentServer()


def prewarm(proc: JobProcess) -> None:
    proc.userdata["vad"] = LoudVAD()


server.setup_fnc = prewarm


@server.rtc_session(agent_name="prewarmed")
async def entrypoint(ctx: JobContext) -> None:
    logger.info("prewarmed: %s", {name: type(value).__name__ for name, value in ctx.proc.userdata.items()})
    session = AgentSession[None](
        vad=ctx.proc.userdata["vad"],
        stt=Ears(),
        llm=Mind({"what time do you open": "The shop is open all night long."}),
        tts=Voice(),
        turn_handling={"turn_detection": "vad"},
    )
    session.on("user_state_changed", lambda event: logger.info("the caller is %s", event.new_state))
    await session.start(agent=Agent(instructions="You answer for a shop."), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
