"""A caller by telephone: the number from the SIP attributes, and the keys that are pressed."""

from __future__ import annotations

import logging

from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli

from e2e.livekit_ways.paid import Ears, Mind, Voice

logger = logging.getLogger("phone_caller")
server = AgentServer()


@server.rtc_session(agent_name="phone_caller")
async def entrypoint(ctx: JobContext) -> None:
    await ctx.connect()
    session = AgentSession[None](stt=Ears(), llm=Mind(), tts=Voice(), vad=None, turn_handling={"turn_detection": "stt"})

    @ctx.room.on("sip_dtmf_received")
    def on_key(key: rtc.SipDTMF) -> None:
        logger.info("key %s, code %s", key.digit, key.code)
        session.say("You pressed a key.")

    caller = await ctx.wait_for_participant(kind=[rtc.ParticipantKind.PARTICIPANT_KIND_SIP])
    kind = rtc.ParticipantKind.Name(caller.kind)
    logger.info("%s calls from %s", kind, caller.attributes["sip.phoneNumber"])
    await session.start(agent=Agent(instructions="You answer the telephone."), room=ctx.room)
    country = "norway" if caller.attributes["sip.phoneNumber"].startswith("+47") else "somewhere"
    await session.say(f"Hello to {country}.")


if __name__ == "__main__":
    cli.run_app(server)
