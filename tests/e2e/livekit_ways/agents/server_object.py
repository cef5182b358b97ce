"""An ``AgentServer`` with a decorated session, a tool, log fields and a report at the end."""

from __future__ import annotations

import logging

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, RunContext, cli, function_tool

from e2e.livekit_ways.paid import Ears, Mind, Use, Voice

logger = logging.getLogger("server_object")
server = AgentServer()


class Forecaster(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You know the weather.")

    async def on_enter(self) -> None:
        self.session.generate_reply(instructions="Say: Hello, this is the weather service.")

    @function_tool
    async def lookup_weather(self, context: RunContext[None], location: str) -> str:
        """Look the weather up.

        Args:
            context: The run.
            location: Where.
        """
        logger.info("tool lookup_weather(%s)", location)
        return f"The weather in {location} is warm and sunny."


async def on_session_end(ctx: JobContext) -> None:
    report = ctx.make_session_report()
    kinds = [item.type for item in report.chat_history.items]
    logger.info("report: %s", [kind for kind in kinds if kind in ("message", "function_call", "function_call_output")])


@server.rtc_session(agent_name="server_object", on_session_end=on_session_end)
async def weather_agent(ctx: JobContext) -> None:
    ctx.log_context_fields = {"room": ctx.room.name}
    session = AgentSession[None](
        stt=Ears(),
        llm=Mind({"how is the weather": Use("lookup_weather", {"location": "london"})}),
        tts=Voice(),
        vad=None,
        turn_handling={"turn_detection": "stt"},
    )
    session.on("close", lambda event: logger.info("closed: %s", event.reason.value))
    await session.start(agent=Forecaster(), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
