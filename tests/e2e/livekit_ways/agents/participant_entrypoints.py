"""A coroutine for each participant that joins, beside a session."""

from __future__ import annotations

import logging

from livekit import rtc
from livekit.agents import AgentServer, JobContext, cli

logger = logging.getLogger("participant_entrypoints")
server = AgentServer()


async def welcome(ctx: JobContext, participant: rtc.RemoteParticipant) -> None:
    logger.info("%s is here", participant.identity)
    await ctx.room.local_participant.publish_data(
        f"welcome {participant.identity}", topic="welcome", destination_identities=[participant.identity]
    )


async def read_attributes(ctx: JobContext, participant: rtc.RemoteParticipant) -> None:
    logger.info("%s is called %s", participant.identity, participant.name)


@server.rtc_session(agent_name="participant_entrypoints")
async def entrypoint(ctx: JobContext) -> None:
    ctx.add_participant_entrypoint(welcome)
    ctx.add_participant_entrypoint(read_attributes)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
