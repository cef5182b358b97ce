"""Two tasks one after the other, in a group, whose results the agent gets together."""

from __future__ import annotations

import logging

from livekit.agents import Agent, AgentServer, AgentSession, AgentTask, JobContext, cli, function_tool
from livekit.agents.beta.workflows import TaskGroup

from e2e.livekit_ways.paid import Ears, Mind, Use, Voice

logger = logging.getLogger("task_group")
server = AgentServer()


class AskName(AgentTask[str]):
    def __init__(self) -> None:
        super().__init__(instructions="Ask for the name.")

    async def on_enter(self) -> None:
        self.session.generate_reply(instructions="Say: Please tell me your name.")

    @function_tool
    async def set_name(self, name: str) -> None:
        """Remember the name.

        Args:
            name: The name.
        """
        self.complete(name)


class AskDrink(AgentTask[str]):
    def __init__(self) -> None:
        super().__init__(instructions="Ask for a drink.")

    async def on_enter(self) -> None:
        self.session.generate_reply(instructions="Say: What would you like to drink?")

    @function_tool
    async def set_drink(self, drink: str) -> None:
        """Remember the drink.

        Args:
            drink: The drink.
        """
        self.complete(drink)


class Surveyor(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You hold a survey.")

    async def on_enter(self) -> None:
        group = TaskGroup(summarize_chat_ctx=False)
        group.add(AskName, id="name", description="Asks for the name")
        group.add(AskDrink, id="drink", description="Asks for a drink")
        results = await group
        logger.info("results: %s", results.task_results)
        await self.session.say("That was the whole survey.")
        self.session.shutdown()


@server.rtc_session(agent_name="task_group")
async def entrypoint(ctx: JobContext) -> None:
    answers = {
        "my name is anna": Use("set_name", {"name": "anna"}),
        "i want tea": Use("set_drink", {"drink": "tea"}),
    }
    session = AgentSession[None](
        stt=Ears(), llm=Mind(answers), tts=Voice(), vad=None, turn_handling={"turn_detection": "stt"}
    )
    session.on("close", lambda event: logger.info("closed: %s", event.reason.value))
    await session.start(agent=Surveyor(), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
