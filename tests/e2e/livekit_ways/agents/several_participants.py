"""A session for each participant, in one room: who says what."""

from __future__ import annotations

import asyncio
import logging

from livekit import rtc
from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    AutoSubscribe,
    ChatContext,
    ChatMessage,
    JobContext,
    StopResponse,
    cli,
    room_io,
)

from e2e.livekit_ways.paid import Ears

logger = logging.getLogger("several_participants")
server = AgentServer()


class Transcriber(Agent):
    def __init__(self, identity: str, room: rtc.Room) -> None:
        super().__init__(instructions="You write down.", stt=Ears())
        self._identity = identity
        self._room = room

    async def on_user_turn_completed(self, turn_ctx: ChatContext, new_message: ChatMessage) -> None:
        logger.info("%s: %s", self._identity, new_message.text_content)
        await self._room.local_participant.publish_data(
            f"{self._identity}: {new_message.text_content}", topic="minutes"
        )
        raise StopResponse


class MultiUserTranscriber:
    def __init__(self, ctx: JobContext) -> None:
        self._ctx = ctx
        self._sessions: dict[str, AgentSession[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._ctx.room.on("participant_connected", self._on_connected)
        self._ctx.room.on("participant_disconnected", self._on_disconnected)
        for participant in self._ctx.room.remote_participants.values():
            self._on_connected(participant)

    async def aclose(self) -> None:
        await asyncio.gather(*(self._close(identity) for identity in list(self._sessions)))

    def _spawn(self, work: asyncio.Task[None]) -> None:
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)

    def _on_connected(self, participant: rtc.RemoteParticipant) -> None:
        self._spawn(asyncio.create_task(self._open(participant)))

    def _on_disconnected(self, participant: rtc.RemoteParticipant) -> None:
        self._spawn(asyncio.create_task(self._close(participant.identity)))

    async def _open(self, participant: rtc.RemoteParticipant) -> None:
        session = AgentSession[None](vad=None, turn_handling={"turn_detection": "stt"})
        self._sessions[participant.identity] = session
        await session.start(
            agent=Transcriber(participant.identity, self._ctx.room),
            room=self._ctx.room,
            room_options=room_io.RoomOptions(
                text_input=False, audio_output=False, text_output=False, participant_identity=participant.identity
            ),
            record=False,
        )
        await self._ctx.room.local_participant.set_attributes({participant.identity: "is listened to"})

    async def _close(self, identity: str) -> None:
        if session := self._sessions.pop(identity, None):
            await session.aclose()
            logger.info("%s is not listened to any more", identity)


@server.rtc_session(agent_name="several_participants")
async def entrypoint(ctx: JobContext) -> None:
    transcriber = MultiUserTranscriber(ctx)
    await ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)
    transcriber.start()
    ctx.add_shutdown_callback(transcriber.aclose)


if __name__ == "__main__":
    cli.run_app(server)
