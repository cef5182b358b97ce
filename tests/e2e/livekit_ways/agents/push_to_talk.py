"""A button instead of turn detection: the front end says by RPC when a turn begins, ends, or is dropped."""

from __future__ import annotations

import logging

from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, ChatContext, ChatMessage, JobContext, StopResponse, cli

from e2e.livekit_ways.paid import Ears, Mind, Voice

logger = logging.getLogger("push_to_talk")
server = AgentServer()


class Radio(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You answer by radio.")

    async def on_user_turn_completed(self, turn_ctx: ChatContext, new_message: ChatMessage) -> None:
        logger.info("turn: %s", new_message.text_content)
        if not new_message.text_content:
            raise StopResponse


@server.rtc_session(agent_name="push_to_talk")
async def entrypoint(ctx: JobContext) -> None:
    session = AgentSession[None](
        stt=Ears(),
        llm=Mind({"what time do you open": "This is the station, we open at seven."}),
        tts=Voice(),
        vad=None,
        turn_handling={"turn_detection": "manual"},
    )
    await ctx.connect()
    await session.start(agent=Radio(), room=ctx.room)
    session.input.set_audio_enabled(False)

    async def start_turn(data: rtc.RpcInvocationData) -> str:
        session.interrupt()
        session.clear_user_turn()
        session.input.set_audio_enabled(True)
        return "listening"

    async def end_turn(data: rtc.RpcInvocationData) -> str:
        session.input.set_audio_enabled(False)
        session.commit_user_turn()
        return "answering"

    async def cancel_turn(data: rtc.RpcInvocationData) -> str:
        session.input.set_audio_enabled(False)
        session.clear_user_turn()
        logger.info("turn cancelled")
        return "cancelled"

    ctx.room.local_participant.register_rpc_method("start_turn", start_turn)
    ctx.room.local_participant.register_rpc_method("end_turn", end_turn)
    ctx.room.local_participant.register_rpc_method("cancel_turn", cancel_turn)


if __name__ == "__main__":
    cli.run_app(server)
