"""Holds the demo's calls, several at once, each over a line of the transport that the demo uses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from livekit.agents import AgentSession, tts

from openrtc.conversation.console_logging import ReportedErrors
from openrtc.conversation.demo.call_record import CallRecord
from openrtc.conversation.demo.caller import CallLine, hold_conversation
from openrtc.conversation.demo.local_line import SpokenLine
from openrtc.conversation.demo.preflight import Preflight, choose_questions, find_lack
from openrtc.conversation.demo.room_line import CallersProcess, RoomLine, start_callers_process
from openrtc.conversation.demo.text_line import TextLine
from openrtc.conversation.demo.transport import ChosenTransport
from openrtc.conversation.session_events import SessionWatch
from openrtc.dispatch.agent_request import AgentRequest
from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.tokens import create_token
from openrtc.errors import OpenRTCError
from openrtc.model.call import Call
from openrtc.model.dispatch_names import HANGS_UP_ATTRIBUTE
from openrtc.model.request import RouteRequest
from openrtc.observe.events import CallError, Event
from openrtc.runtime.runtime import Runtime
from openrtc.worker.direct_job import build_job, choose_agent, launch_job
from openrtc.worker.server import WorkerServer

AT_ONCE = max(3, min(6, os.cpu_count() or 1))
"""How many calls run side by side: speech recognition on this machine needs its processors."""

CONNECT_LIMIT = 20.0
"""Seconds from a call to the agent's session."""

_STEP = 0.05  # seconds between two looks; nobody notices them at the start of a call


class DemoCalls:
    """Holds calls; it watches their sessions and is the frontend of those without a room.

    Args:
        server: The worker, which runs.
        chosen: How callers and agents talk, and the callers' voice.
        errors: What the calls show and the log need not.
    """

    def __init__(self, server: WorkerServer, chosen: ChosenTransport, errors: ReportedErrors) -> None:
        self.text_only = chosen.voice is None
        self._server = server
        self._voice: tts.TTS[Any] = chosen.voice
        self._errors = errors
        self._records: dict[str, CallRecord] = {}
        self._sessions: dict[str, asyncio.Future[AgentSession[Any]]] = {}
        self._failed: dict[str, asyncio.Event] = {}
        self._lines: dict[str, CallLine] = {}
        self._callers: CallersProcess | None = None
        self._in_rooms = chosen.transport.in_rooms
        server.runtime.watch = self._watch
        server.runtime.events.subscribe(self._note_failure)
        server.runtime.frontend = self

    async def hold(self, records: Sequence[CallRecord], on_end: Callable[[CallRecord], None]) -> None:
        """Hold calls side by side.

        Args:
            records: The calls.
            on_end: Called with each one that has ended.
        """
        slots = asyncio.Semaphore(len(records) if self.text_only else AT_ONCE)

        async def one(record: CallRecord) -> None:
            async with slots:
                await self._hold(record)
            if not record.lacking:
                on_end(record)

        # The callers have a process of their own: their audio would take the worker's time.
        async with start_callers_process(self._voice) if self._in_rooms else contextlib.nullcontext() as self._callers:
            await asyncio.gather(*(one(record) for record in records))

    async def before_start(self, call: Call, session: AgentSession[Any]) -> None:
        """Connect the caller with a session that has no room."""
        room = call.room_name
        self._lines[room] = (
            TextLine(session, self._records[room]) if self.text_only else SpokenLine(session, self._voice)
        )

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
        self._failed[record.room] = asyncio.Event()
        try:
            if self._callers is None:
                await self._hold_without_room(record)
            else:
                await self._hold_in_room(record, self._callers)
        except OpenRTCError as error:
            record.fail(str(error))
        finally:
            record.ended = time.monotonic()

    async def _hold_without_room(self, record: CallRecord) -> None:
        job = build_job(record.room, job_metadata=record.job_metadata)
        decision = await choose_agent(self._server.runtime, job)
        await launch_job(self._server, job, decision, without_room=True)
        while any(job.id == running.id for running in self._server.jobs):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(_STEP)
        if not self._sessions[record.room].done():
            record.fail("the agent did not start; see the line above")

    async def _hold_in_room(self, record: CallRecord, callers: CallersProcess) -> None:
        settings = self._server.runtime.config.worker
        connection = LiveKitConnection.of(settings)
        requests = [AgentRequest(metadata=record.job_metadata)]
        token = create_token(
            "caller",
            record.room,
            name="Caller",
            agents=requests,
            attributes={HANGS_UP_ATTRIBUTE: "true"},
            connection=connection,
        )
        line = callers.open_line(record.room)
        try:
            await line.join(settings.url, token)
            session = await self._wait_for_session(record, line)
            if session is not None:
                # Of an entrypoint it is known only now what its agent can do.
                record.questions = record.questions or choose_questions((), session.current_agent.tools)
                await hold_conversation(record, session, line)
        finally:
            await line.aclose()

    async def _wait_for_session(self, record: CallRecord, line: RoomLine) -> AgentSession[Any] | None:
        async def reach() -> AgentSession[Any]:
            await line.wait_for_audio()
            return await self._sessions[record.room]

        reaching = asyncio.create_task(reach())
        failing = asyncio.create_task(self._failed[record.room].wait())
        await asyncio.wait({reaching, failing}, timeout=CONNECT_LIMIT, return_when=asyncio.FIRST_COMPLETED)
        failing.cancel()
        if reaching.done():
            return reaching.result()
        reaching.cancel()
        record.fail(f"nobody answered within {CONNECT_LIMIT:.0f} s")
        return None

    def _note_failure(self, event: Event) -> None:
        if not isinstance(event, CallError) or not event.fatal or event.room not in self._records:
            return
        record = self._records[event.room]
        if len(record.turns) == 1:  # nothing has been asked yet
            record.lacking = find_lack(event.error)
        record.fail(f"{event.error} at {event.place}" if event.place else event.error)
        self._failed[event.room].set()

    def _watch(self, call: Call, session: AgentSession[Any]) -> None:
        record = self._records.get(call.room_name)
        if record is None:  # on a server that others use, too, somebody else may call us
            return
        record.decision = call.decision
        SessionWatch(session, record.add_event, self._errors)
        answered = self._sessions[call.room_name]
        if not answered.done():
            answered.set_result(session)


async def plan_calls(runtime: Runtime, candidates: Sequence[Preflight], *, suffix: str) -> list[CallRecord]:
    """Return the calls to make.

    Rooms are named so that the room's prefix routes, except the second one: that call is routed by its job metadata.

    Args:
        runtime: What the calls share.
        candidates: The agents to call.
        suffix: What the names of the rooms end with.
    """
    calls = [CallRecord(f"{one.name}-call-{suffix}", one.name, one.questions) for one in candidates]
    if len(calls) > 1:
        second = candidates[1]
        calls[1] = CallRecord(f"hotline-{suffix}", second.name, second.questions, json.dumps({"agent": second.name}))
    return calls + await _plan_by_routers(runtime, candidates, suffix)


async def _plan_by_routers(runtime: Runtime, candidates: Sequence[Preflight], suffix: str) -> list[CallRecord]:
    """Return a call for each router that has an opinion about a room of its own name."""
    by_name = {candidate.name: candidate for candidate in candidates}
    calls = []
    for router in runtime.hooks.implementations("openrtc_route"):
        room = f"{router.plugin.rpartition(':')[2]}-call-{suffix}"
        decision = await runtime.router.route(RouteRequest(room_name=room))
        chosen = by_name.get(decision.agents[0]) if decision.agents else None
        if chosen is not None and decision.rule == router.plugin:
            calls.append(CallRecord(room, chosen.name, chosen.questions[:1]))
    return calls
