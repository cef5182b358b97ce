"""A tool that ends the call: shutdown with a reason, callbacks with and without it, and the room is deleted."""

from __future__ import annotations

import logging

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, RunContext, cli, function_tool, get_job_context

from e2e.livekit_ways.paid import Ears, Mind, Use, Voice

logger = logging.getLogger("shutdown_callbacks")
server = AgentServer()


class Farewell(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You say goodbye.")

    @function_tool
    async def end_call(self, context: RunContext[None]) -> None:
        """End the call."""
        await context.session.say("Goodbye, and thank you for calling.")
        get_job_context().shutdown(reason="the caller said goodbye")


async def on_session_end(ctx: JobContext) -> None:
    logger.info("on_session_end")


@server.rtc_session(agent_name="shutdown_callbacks", on_session_end=on_session_end)
async def entrypoint(ctx: JobContext) -> None:
    async def with_reason(reason: str) -> None:
        logger.info("callback: %s", reason)

    async def without_reason() -> None:
        logger.info("callback without a reason")
        await ctx.delete_room()

    ctx.add_shutdown_callback(with_reason)
    ctx.add_shutdown_callback(without_reason)
    session = AgentSession[None](
        stt=Ears(),
        llm=Mind({"goodbye": Use("end_call")}),
        tts=Voice(),
        vad=None,
        turn_handling={"turn_detection": "stt"},
    )
    await session.start(agent=Farewell(), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
