"""A tool that hands the call to another agent, with what was said so far."""

from __future__ import annotations

import logging

from livekit.agents import Agent, AgentServer, AgentSession, ChatContext, JobContext, cli, function_tool

from e2e.livekit_ways.paid import Ears, Mind, Use, Voice, messages

logger = logging.getLogger("hand_off")
server = AgentServer()


class Manager(Agent):
    def __init__(self, chat_ctx: ChatContext) -> None:
        super().__init__(instructions="You are the manager.", chat_ctx=chat_ctx)

    async def on_enter(self) -> None:
        said = [message.text_content for message in messages(self.chat_ctx, "user")]
        logger.info("the manager was told %s", said)
        self.session.generate_reply(instructions="Say: I am the manager, and I will help you.")

    async def on_exit(self) -> None:
        logger.info("the manager leaves")


class Clerk(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You are a clerk.")

    async def on_enter(self) -> None:
        self.session.generate_reply(instructions="Say: This is the front desk.")

    async def on_exit(self) -> None:
        logger.info("the clerk leaves")

    @function_tool
    async def call_manager(self) -> Agent:
        """Give the call to the manager."""
        logger.info("tool call_manager()")
        return Manager(self.chat_ctx.copy(exclude_instructions=True))


@server.rtc_session(agent_name="hand_off")
async def entrypoint(ctx: JobContext) -> None:
    answers: dict[str, str | Use] = {
        "please give me the manager": Use("call_manager"),
        "that is all": "Then have a good day.",
    }
    session = AgentSession[None](
        stt=Ears(), llm=Mind(answers), tts=Voice(), vad=None, turn_handling={"turn_detection": "stt"}
    )
    await session.start(agent=Clerk(), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
