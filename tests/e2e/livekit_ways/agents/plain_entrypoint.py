"""A bare entrypoint with ``WorkerOptions`` below the main guard: the oldest way."""

from __future__ import annotations

import logging

from livekit.agents import Agent, AgentSession, CloseEvent, JobContext, WorkerOptions, cli

from e2e.livekit_ways.paid import Ears, Mind, Voice

logger = logging.getLogger("plain_entrypoint")


class Receptionist(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You are the receptionist of a library.")


async def entrypoint(ctx: JobContext) -> None:
    await ctx.connect()
    session = AgentSession[None](
        stt=Ears(),
        llm=Mind({"what time do you open": "We open every day at nine in the morning."}),
        tts=Voice(),
        vad=None,
        turn_handling={"turn_detection": "stt"},
    )

    @session.on("close")
    def on_close(event: CloseEvent) -> None:
        logger.info("closed: %s", event.reason.value)

    await session.start(agent=Receptionist(), room=ctx.room)
    await session.generate_reply(instructions="Greet the caller. Say: Welcome to the public library.")


if __name__ == "__main__":
    cli.run_app(WorkerOptions(entrypoint_fnc=entrypoint, agent_name="plain_entrypoint"))
