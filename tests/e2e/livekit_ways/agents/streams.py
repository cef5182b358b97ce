"""Text streams, byte streams and data packets, in both directions; and attributes."""

from __future__ import annotations

import asyncio
import logging

from livekit import rtc
from livekit.agents import AgentServer, JobContext, cli

logger = logging.getLogger("streams")
server = AgentServer()


@server.rtc_session(agent_name="streams")
async def entrypoint(ctx: JobContext) -> None:
    tasks = set[asyncio.Task[None]]()

    def spawn(work: asyncio.Task[None]) -> None:
        tasks.add(work)
        work.add_done_callback(tasks.discard)

    async def answer_text(reader: rtc.TextStreamReader, identity: str) -> None:
        text = await reader.read_all()
        logger.info("text of %s: %s", identity, text)
        writer = await ctx.room.local_participant.stream_text(topic="answer", destination_identities=[identity])
        for word in text.split():
            await writer.write(word[::-1] + " ")
        await writer.aclose()

    async def answer_bytes(reader: rtc.ByteStreamReader, identity: str) -> None:
        content = b"".join([chunk async for chunk in reader])
        logger.info("%d bytes of %s: %s, %s", len(content), identity, reader.info.name, reader.info.attributes)
        writer = await ctx.room.local_participant.stream_bytes("back.bin", topic="file", total_size=len(content))
        await writer.write(content[::-1])
        await writer.aclose()

    ctx.room.register_text_stream_handler(
        "question", lambda reader, identity: spawn(asyncio.create_task(answer_text(reader, identity)))
    )
    ctx.room.register_byte_stream_handler(
        "file", lambda reader, identity: spawn(asyncio.create_task(answer_bytes(reader, identity)))
    )

    @ctx.room.on("data_received")
    def on_data(packet: rtc.DataPacket) -> None:
        logger.info("packet: %s, %s", packet.topic, packet.data.decode())
        spawn(asyncio.create_task(ctx.room.local_participant.publish_data(b"pong", topic="pings")))

    await ctx.connect()
    await ctx.room.local_participant.set_attributes({"speaks": "streams"})


if __name__ == "__main__":
    cli.run_app(server)
