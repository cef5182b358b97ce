"""`Recording`: one session, both sides of it, from when its agent has said that it is recorded."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from livekit.agents import AgentSession, AgentStateChangedEvent, get_job_context
from livekit.agents.voice import io
from livekit.agents.voice.recorder_io import RecorderIO

from openrtc import Call
from openrtc_recorder.archive import Archive

logger = logging.getLogger("openrtc_recorder")

CLOSE_SECONDS = 10.0
"""How long the end of a job waits for its session to close: what is cut off then is not in the recording."""

_announcements: dict[str, asyncio.Task[str]] = {}
"""Of each live call, what says that it is recorded: once, however many agents are in it."""


class Recording:
    """Records one session.

    Args:
        call: Its call.
        session: The session, before it starts.
        archive: Where the recording goes.
    """

    def __init__(self, call: Call, session: AgentSession[Any], archive: Archive) -> None:
        self._call = call
        self._session = session
        self._archive = archive
        self._recorder: RecorderIO | None = None
        self._running: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    def begin_with_session(self) -> None:
        """Let the recording begin and end with the session."""
        # The audio is there when the session has begun to start, and must be tapped before its agent speaks.
        asyncio.get_running_loop().call_soon(self._tap)
        self._session.on("agent_state_changed", self._begin)
        self._session.on("close", lambda _: self._closed.set())
        get_job_context().add_shutdown_callback(self._finish)

    def _tap(self) -> None:
        output, heard = self._session.output.audio, self._session.input.audio
        if self._recorder is not None or output is None:
            return
        self._recorder = RecorderIO(agent_session=self._session)
        tapped = self._recorder.record_input(heard or io.AudioInput(label="nobody"))
        if heard is not None:  # of a cast, one member hears
            self._session.input.audio = tapped
        self._session.output.audio = self._recorder.record_output(output)

    def _begin(self, event: AgentStateChangedEvent) -> None:
        if event.new_state != "initializing" and self._running is None:
            self._running = asyncio.create_task(self._record(), name="record")

    async def _record(self) -> None:
        self._tap()
        path = None
        try:
            if self._recorder is None:
                why = "it has no audio"
            else:
                member = self._call.cast_member
                name = f"{self._call.job_id}.{member.role}" if member else self._call.job_id
                path = await asyncio.to_thread(self._archive.reserve, name)
                if not (why := await self._announce()):
                    await self._record_until_closed(self._recorder, path)
                    return
        except OSError as error:
            why = f"{error.filename}: {error.strerror}"
        logger.warning("call %s is not recorded: %s", self._call.job_id, why)
        if path is not None:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _announce(self) -> str:
        """Let the call's agent say that it is recorded, and return why it could not; empty when it has."""
        said = _announcements.get(self._call.job_id)
        if said is None:
            said = _announcements[self._call.job_id] = asyncio.create_task(self._say())
        return await asyncio.shield(said)

    async def _say(self) -> str:
        try:
            speech = self._session.say(self._archive.sentence, allow_interruptions=False)
        except RuntimeError as error:  # without a voice, for example
            return f"its agent cannot say so: {error}"
        await speech
        # What nobody could hear, since it failed or was cut off, is no item of the conversation.
        return "" if speech.chat_items and not speech.interrupted else "its agent could not say so to the end"

    async def _record_until_closed(self, recorder: RecorderIO, path: Path) -> None:
        await recorder.start(output_path=path)
        logger.info("call %s is recorded: %s", self._call.job_id, path)
        try:
            await self._closed.wait()
        finally:
            await recorder.aclose()
            await asyncio.to_thread(self._archive.remove_old)

    async def _finish(self) -> None:
        # A job's process ends with its callbacks: what is still to be written is waited for.
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._closed.wait()
        except TimeoutError:
            self._closed.set()
        finally:
            _announcements.pop(self._call.job_id, None)
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=CLOSE_SECONDS)
