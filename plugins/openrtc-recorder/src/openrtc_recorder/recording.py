"""`Recording`: one session, both sides of it, from when its agent has said that it is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

from livekit.agents import AgentSession, AgentStateChangedEvent, get_job_context
from livekit.agents.voice import SpeechHandle, io
from livekit.agents.voice.recorder_io import RecorderIO

from openrtc import Call
from openrtc_recorder.archive import Archive

logger = logging.getLogger("openrtc_recorder")

CLOSE_SECONDS = 10.0
"""How long the end of a job waits for its session to close: what is cut off then is not in the recording."""

_announcements: dict[str, SpeechHandle | str] = {}
"""Of each live call, what says that it is recorded, or why that cannot be said: once, however many agents are in it."""


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
        self._path: Path | None = None
        self._recorder: RecorderIO | None = None
        self._running: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    async def prepare(self) -> None:
        """Let the recording begin and end with the session, if there is a file for it."""
        member = self._call.cast_member
        name = f"{self._call.job_id}.{member.role}" if member else self._call.job_id
        try:
            self._path = await asyncio.to_thread(self._archive.reserve, name)
        except OSError as error:
            self._tell(f"{error.filename}: {error.strerror}")
            return
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
        if event.new_state == "initializing" or self._running is not None:
            return
        self._tap()
        # Said here and not in a task: what greets comes after this event.
        said = "it has no audio" if self._recorder is None else self._announce()
        self._running = asyncio.create_task(self._record(said), name="record")

    def _announce(self) -> SpeechHandle | str:
        job_id = self._call.job_id
        if job_id not in _announcements:
            try:
                _announcements[job_id] = self._session.say(self._archive.sentence, allow_interruptions=False)
            except RuntimeError as error:  # without a voice, for example
                _announcements[job_id] = f"its agent cannot say so: {error}"
        return _announcements[job_id]

    async def _record(self, said: SpeechHandle | str) -> None:
        if isinstance(said, str):
            self._tell(said)
            return
        await said
        # What nobody could hear, since it failed or was cut off, is no item of the conversation.
        if said.interrupted or not said.chat_items:
            self._tell("its agent could not say so to the end")
            return
        recorder, path, self._path = self._recorder, self._path, None
        assert recorder is not None and path is not None, "it is announced only where there are both"
        await recorder.start(output_path=path)
        logger.info("call %s is recorded: %s", self._call.job_id, path)
        try:
            await self._closed.wait()
        finally:
            await recorder.aclose()
            await asyncio.to_thread(self._archive.remove_old)

    def _tell(self, why: str) -> None:
        logger.warning("call %s is not recorded: %s", self._call.job_id, why)

    async def _finish(self) -> None:
        # A job's process ends with its callbacks: what is still to be written is waited for.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._closed.wait()
        self._closed.set()
        _announcements.pop(self._call.job_id, None)
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=CLOSE_SECONDS)
        if self._path is not None:  # nothing was written into it
            await asyncio.to_thread(self._path.unlink, missing_ok=True)
