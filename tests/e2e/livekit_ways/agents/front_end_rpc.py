"""Calls in both directions between the agent and the front end."""

from __future__ import annotations

import json
import logging

from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, function_tool, get_job_context

from e2e.livekit_ways.paid import Ears, Mind, Use, Voice

logger = logging.getLogger("front_end_rpc")
server = AgentServer()


class Guide(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You guide travellers.")

    @function_tool
    async def find_place(self) -> str:
        """Ask the front end where the caller is."""
        room = get_job_context().room
        caller = next(iter(room.remote_participants))
        place = await room.local_participant.perform_rpc(
            destination_identity=caller, method="get_place", payload=json.dumps({"exact": True})
        )
        logger.info("tool find_place: %s", place)
        return f"You are in {place}."


@server.rtc_session(agent_name="front_end_rpc")
async def entrypoint(ctx: JobContext) -> None:
    session = AgentSession[None](
        stt=Ears(),
        llm=Mind({"where am i": Use("find_place")}),
        tts=Voice(),
        vad=None,
        turn_handling={"turn_detection": "stt"},
    )
    await ctx.connect()

    async def set_level(data: rtc.RpcInvocationData) -> str:
        logger.info("%s sets the level to %s", data.caller_identity, data.payload)
        return json.dumps({"level": int(data.payload)})

    async def greet(data: rtc.RpcInvocationData) -> str:
        await session.say(f"Hello {data.payload}, nice to see you.")
        return "greeted"

    async def refuse(data: rtc.RpcInvocationData) -> str:
        raise rtc.RpcError(4001, "not for you")

    ctx.room.local_participant.register_rpc_method("set_level", set_level)
    ctx.room.local_participant.register_rpc_method("greet", greet)
    ctx.room.local_participant.register_rpc_method("refuse", refuse)
    await session.start(agent=Guide(), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
