"""A task that the agent awaits in `on_enter`, and that a tool completes."""

from __future__ import annotations

import logging

from livekit.agents import Agent, AgentServer, AgentSession, AgentTask, JobContext, cli, function_tool

from e2e.livekit_ways.paid import Ears, Mind, Use, Voice

logger = logging.getLogger("consent_task")
server = AgentServer()


class AskConsent(AgentTask[bool]):
    def __init__(self) -> None:
        super().__init__(instructions="Ask whether the call may be recorded.")

    async def on_enter(self) -> None:
        self.session.generate_reply(instructions="Say: May we record this call?")

    @function_tool
    async def consent_given(self) -> None:
        """The caller agrees."""
        logger.info("tool consent_given()")
        self.complete(True)


class Helper(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You help.")

    async def on_enter(self) -> None:
        consent = await AskConsent()
        logger.info("consent: %s", consent)
        await self.session.say("Thank you, the recording of this call begins now.")

    async def on_exit(self) -> None:
        logger.info("the helper leaves")


@server.rtc_session(agent_name="consent_task")
async def entrypoint(ctx: JobContext) -> None:
    answers: dict[str, str | Use] = {"yes you may": Use("consent_given"), "that is all": "Then have a good day."}
    session = AgentSession[None](
        stt=Ears(), llm=Mind(answers), tts=Voice(), vad=None, turn_handling={"turn_detection": "stt"}
    )
    await session.start(agent=Helper(), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
