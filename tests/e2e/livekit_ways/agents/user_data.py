"""What a caller has ordered, in the session's userdata, which tools write and `on_session_end` reads."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, RunContext, cli, function_tool

from e2e.livekit_ways.paid import Ears, Mind, Use, Voice

logger = logging.getLogger("user_data")
server = AgentServer()


@dataclass
class Order:
    customer: str = ""
    items: list[str] = field(default_factory=list)


class Barista(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You take orders.")

    @function_tool
    async def set_customer(self, context: RunContext[Order], name: str) -> str:
        """Remember who orders.

        Args:
            context: The run.
            name: The customer.
        """
        context.userdata.customer = name
        return f"Hello {name}, what would you like?"

    @function_tool
    async def order_item(self, context: RunContext[Order], item: str) -> str:
        """Order something.

        Args:
            context: The run.
            item: What.
        """
        context.userdata.items.append(item)
        return f"{context.userdata.customer}, your {item} is coming."


async def on_session_end(ctx: JobContext) -> None:
    order = ctx.primary_session.userdata
    logger.info("ordered: %s", order)


@server.rtc_session(agent_name="user_data", on_session_end=on_session_end)
async def entrypoint(ctx: JobContext) -> None:
    answers = {
        "my name is anna": Use("set_customer", {"name": "anna"}),
        "i want tea": Use("order_item", {"item": "tea"}),
    }
    session = AgentSession[Order](
        userdata=Order(),
        stt=Ears(),
        llm=Mind(answers),
        tts=Voice(),
        vad=None,
        turn_handling={"turn_detection": "stt"},
    )

    @session.on("function_tools_executed")
    def on_tools(event: object) -> None:
        logger.info("userdata: %s", session.userdata)

    await session.start(agent=Barista(), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
