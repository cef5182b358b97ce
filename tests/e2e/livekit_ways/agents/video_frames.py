"""What a camera shows, frame by frame."""

from __future__ import annotations

import asyncio
import logging

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, function_tool

from e2e.livekit_ways.paid import Ears, Mind, Use, Voice

logger = logging.getLogger("video_frames")
server = AgentServer()


class Watcher(Agent):
    def __init__(self, room: rtc.Room) -> None:
        super().__init__(instructions="You say what you see.")
        self._room = room
        self._frame: rtc.VideoFrame | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def on_enter(self) -> None:
        for participant in self._room.remote_participants.values():
            for publication in participant.track_publications.values():
                if publication.track:
                    self._watch(publication.track)
        self._room.on("track_subscribed", lambda track, *_: self._watch(track))

    def _watch(self, track: rtc.Track) -> None:
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            self._tasks.add(asyncio.create_task(self._read(rtc.VideoStream(track))))

    async def _read(self, stream: rtc.VideoStream) -> None:
        async for event in stream:
            if self._frame is None:
                logger.info("the first frame has come")
                await self._room.local_participant.set_attributes({"sees": "video"})
            self._frame = event.frame

    @function_tool
    async def describe(self) -> str:
        """Describe what the camera shows."""
        assert self._frame is not None
        frame = self._frame.convert(rtc.VideoBufferType.RGB24)
        pixels = np.frombuffer(frame.data, np.uint8).reshape(-1, 3).mean(axis=0)
        colour = ("red", "green", "blue")[int(pixels.argmax())]
        return f"I see a {colour} wall."


@server.rtc_session(agent_name="video_frames")
async def entrypoint(ctx: JobContext) -> None:
    await ctx.connect()
    session = AgentSession[None](
        stt=Ears(),
        llm=Mind({"what do you see": Use("describe")}),
        tts=Voice(),
        vad=None,
        turn_handling={"turn_detection": "stt"},
    )
    await session.start(agent=Watcher(ctx.room), room=ctx.room)


if __name__ == "__main__":
    cli.run_app(server)
