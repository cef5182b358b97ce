"""An agent that talks to one participant only, whenever that one comes."""

from __future__ import annotations

import logging

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, room_io

from e2e.livekit_ways.paid import Ears, Mind, Voice

logger = logging.getLogger("waits_for_participant")
server = AgentServer()


@server.rtc_session(agent_name="waits_for_participant")
async def entrypoint(ctx: JobContext) -> None:
    await ctx.connect()
    logger.info("in the room: %s", sorted(ctx.room.remote_participants))
    participant = await ctx.wait_for_participant(identity="guest")
    logger.info("%s has come", participant.identity)
    session = AgentSession[None](
        stt=Ears(),
        llm=Mind({"what time do you open": "Only you may hear that we open at noon."}),
        tts=Voice(),
        vad=None,
        turn_handling={"turn_detection": "stt"},
    )
    session.on("close", lambda event: logger.info("closed: %s", event.reason.value))
    options = room_io.RoomOptions(participant_identity=participant.identity)
    await session.start(agent=Agent(instructions="You wait."), room=ctx.room, room_options=options)
    await session.generate_reply(instructions="Say: There you are at last.")


if __name__ == "__main__":
    cli.run_app(server)
