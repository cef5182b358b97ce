"""Holds the demo's calls, several at once, each over the line of the way that the demo takes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from livekit.agents import AgentSession, tts

from openrtc.call import Call
from openrtc.conversation.call_record import CallRecord
from openrtc.conversation.caller import hold_conversation
from openrtc.conversation.calm_logs import ToldFailures
from openrtc.conversation.room_line import CallersProcess, RoomLine, callers_process
from openrtc.conversation.session_watch import SessionWatch
from openrtc.conversation.spoken_line import SpokenLine
from openrtc.conversation.text_line import TextLine
from openrtc.conversation.way import Choice
from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.tokens import create_token
from openrtc.dispatch.wish import AgentWish
from openrtc.errors import OpenRTCError
from openrtc.worker.direct_job import decide, launch_job, make_job
from openrtc.worker.runtime import Runtime
from openrtc.worker.server import WorkerServer

AT_ONCE = max(3, min(6, os.cpu_count() or 1))
"""How many calls run side by side: speech recognition on this machine needs its processors."""

CONNECT_LIMIT = 20.0
"""Seconds from a call to the agent's session."""


class DemoCalls:
    """Holds calls; it watches their sessions and is the frontend of those without a room.

    Args:
        runtime: What the calls share.
        server: The worker, which runs.
        choice: The way to take, with the callers' voice.
        failures: What is told in the calls and so is not logged.
    """

    def __init__(self, runtime: Runtime, server: WorkerServer, choice: Choice, failures: ToldFailures) -> None:
        self.text_only = choice.voice is None
        self._runtime = runtime
        self._server = server
        self._voice: tts.TTS[Any] = choice.voice
        self._failures = failures
        self._records: dict[str, CallRecord] = {}
        self._sessions: dict[str, asyncio.Future[AgentSession[Any]]] = {}
        self._lines: dict[str, TextLine | SpokenLine] = {}
        self._callers: CallersProcess | None = None
        self._in_rooms = choice.way.in_rooms
        runtime.watch = self._watch
        runtime.frontend = self

    async def hold(self, records: Sequence[CallRecord], ended: Callable[[CallRecord], None]) -> None:
        """Hold calls side by side.

        Args:
            records: The calls.
            ended: Called with each one that has ended.
        """
        slots = asyncio.Semaphore(len(records) if self.text_only else AT_ONCE)

        async def one(record: CallRecord) -> None:
            async with slots:
                await self._hold(record)
            ended(record)

        # The callers have a process of their own: their audio would take the worker's time.
        async with callers_process(self._voice) if self._in_rooms else contextlib.nullcontext() as self._callers:
            await asyncio.gather(*(one(record) for record in records))

    async def before_start(self, call: Call, session: AgentSession[Any]) -> None:
        """Connect the caller with a session that has no room."""
        record = self._records[call.room_name]
        if self.text_only:
            self._lines[call.room_name] = TextLine(session, record)
        else:
            self._lines[call.room_name] = SpokenLine(session, self._voice)

    async def after_start(self, call: Call, session: AgentSession[Any]) -> None:
        """Hold the conversation of a session without a room."""
        line = self._lines[call.room_name]
        try:
            await hold_conversation(self._records[call.room_name], session, line)
        finally:
            await line.aclose()

    async def _hold(self, record: CallRecord) -> None:
        record.began = time.monotonic()
        self._records[record.room] = record
        self._sessions[record.room] = asyncio.get_running_loop().create_future()
        try:
            await (self._without_a_room(record) if self._callers is None else self._in_a_room(record, self._callers))
        except OpenRTCError as error:
            record.fail(str(error))
        finally:
            record.ended = time.monotonic()

    async def _without_a_room(self, record: CallRecord) -> None:
        job = make_job(record.room, job_metadata=record.job_metadata)
        decision = await decide(self._runtime, job)
        await launch_job(self._runtime, self._server, job, decision, without_room=True)
        while self._runs(job.id):  # noqa: ASYNC110 - livekit-agents has no event for it
            await asyncio.sleep(0.05)
        if not self._sessions[record.room].done():
            record.fail("the agent did not start; see the line above")

    def _runs(self, job_id: str) -> bool:
        return any(job.id == job_id for job in self._server.jobs)

    async def _in_a_room(self, record: CallRecord, callers: CallersProcess) -> None:
        settings = self._runtime.config.worker
        connection = LiveKitConnection.of(settings)
        wishes = [AgentWish(metadata=record.job_metadata)]
        token = create_token("caller", record.room, name="Caller", agents=wishes, connection=connection)
        line = callers.line(record.room)
        try:
            await line.join(settings.url, token)
            session = await self._answered(record, line)
            if session is not None:
                await hold_conversation(record, session, line)
        finally:
            await line.aclose()

    async def _answered(self, record: CallRecord, line: RoomLine) -> AgentSession[Any] | None:
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                await line.reached()
                return await self._sessions[record.room]
        except TimeoutError:
            record.fail(f"nobody answered within {CONNECT_LIMIT:.0f} s")
            return None

    def _watch(self, call: Call, session: AgentSession[Any]) -> None:
        record = self._records.get(call.room_name)
        if record is None:
            return
        record.decision = call.decision
        SessionWatch(session, record.happened, self._failures)
        answered = self._sessions[call.room_name]
        if not answered.done():
            answered.set_result(session)
