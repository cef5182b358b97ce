"""Tools of an MCP server, in a process that the call starts."""

from __future__ import annotations

import logging
import os
import sys

from livekit.agents import Agent, AgentServer, AgentSession, FunctionToolsExecutedEvent, JobContext, cli, mcp

from e2e.livekit_ways.paid import Ears, Mind, Use, Voice

logger = logging.getLogger("mcp_tools")
server = AgentServer()


@server.rtc_session(agent_name="mcp_tools")
async def entrypoint(ctx: JobContext) -> None:
    prices = mcp.MCPServerStdio(
        sys.executable,
        ["-m", "e2e.livekit_ways.tool_server"],
        env=dict(os.environ),
        client_session_timeout_seconds=30,
    )
    session = AgentSession[None](
        stt=Ears(),
        llm=Mind({"i want tea": Use("get_price", {"item": "tea"})}),
        tts=Voice(),
        vad=None,
        turn_handling={"turn_detection": "stt"},
        tools=[mcp.MCPToolset(id="prices", mcp_server=prices)],
    )

    @session.on("function_tools_executed")
    def on_tools(event: FunctionToolsExecutedEvent) -> None:
        logger.info("tools: %s", [(call.name, call.arguments) for call in event.function_calls])

    await session.start(agent=Agent(instructions="You know the prices."), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
