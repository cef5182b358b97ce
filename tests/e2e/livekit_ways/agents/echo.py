"""No agent class at all: frames of the caller's microphone go back on a track of the job's own."""

from __future__ import annotations

import asyncio
import logging

from livekit import rtc
from livekit.agents import AgentServer, AutoSubscribe, JobContext, cli

logger = logging.getLogger("echo")
server = AgentServer()

RATE = 24_000


@server.rtc_session(agent_name="echo")
async def entrypoint(ctx: JobContext) -> None:
    source = rtc.AudioSource(RATE, 1)
    tasks = set[asyncio.Task[None]]()

    async def send_back(track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        async for event in stream:
            await source.capture_frame(event.frame)

    @ctx.room.on("track_subscribed")
    def on_track(track: rtc.Track, publication: rtc.TrackPublication, participant: rtc.RemoteParticipant) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            logger.info("hears %s", participant.identity)
            tasks.add(asyncio.create_task(send_back(track)))

    await ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)
    await ctx.room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("echo", source))
    await ctx.room.local_participant.set_attributes({"echo": "on"})


if __name__ == "__main__":
    cli.run_app(server)
