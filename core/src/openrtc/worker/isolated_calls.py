"""`IsolatedCalls`: emits the end event of a call whose process died first, and takes its agent out of the room.

A call in a process of its own emits its events itself, through the worker's socket. A process that is killed emits no
more, and its participant stays in the room: the worker does both for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

from livekit import api

from openrtc.catalog.loaded import LoadedAgent
from openrtc.dispatch.connection import LiveKitConnection, open_api
from openrtc.errors import OpenRTCError, one_line
from openrtc.observe.events import CallEnded, CallEvent, Event
from openrtc.posix import find_signals
from openrtc.runtime.live_call import LiveCall
from openrtc.runtime.runtime import Runtime
from openrtc.session.participant import is_agent_of
from openrtc.upstream.jobs import JobExecutor, JobStatus, RunningJobInfo
from openrtc.worker.admission import find_distribution, read_decision

if TYPE_CHECKING:
    from livekit.agents.ipc.job_proc_executor import ProcJobExecutor

logger = logging.getLogger("openrtc.worker")

T = TypeVar("T")

LAST_EVENTS_SECONDS = 0.3
"""How long the last events of a process that has ended may still be on their way through the socket."""
REMOVE_SECONDS = 10.0
"""How long the LiveKit server has to take a dead agent out of its room."""


class IsolatedCalls:
    """Emits the end event of an isolated call whose process died first.

    Args:
        runtime: What the calls of this process share.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ending: set[asyncio.Task[None]] = set()
        self._calls: dict[str, LiveCall] = {}
        runtime.events.subscribe(self._note)
        logging.getLogger("livekit.agents").addFilter(_is_not_reported_here)  # logging adds the same one once

    def note_launched(self, info: RunningJobInfo) -> None:
        """Note that a process has taken a job."""
        agent = self._find_agent(info)
        self._calls[info.job.id] = LiveCall(
            events=self._runtime.events,
            job_id=info.job.id,
            room=info.job.room.name,
            agent=agent.name,
            distribution=find_distribution(agent),
        )
        self._runtime.served += 1

    def note_closed(self, job: JobExecutor) -> None:
        """Note that a job's process has ended; one that did not end by itself has left its participant behind."""
        if info := job.running_job:
            ending = asyncio.create_task(self._end(job, info))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def report_not_launched(self, info: RunningJobInfo, kind: str, error: str) -> None:
        """Log that no thread or process could be had for a job."""
        text = "agent %r: no %s could be started for it: %s; this call is lost"
        fields = {"job_id": info.job.id, "room": info.job.room.name}
        logger.error(text, self._find_agent(info).name, kind, error, extra=fields)

    def note_over(self, job_id: str) -> None:
        """Emit the end of a call of this process whose own shutdown has not come so far."""
        if live := self._runtime.live.pop(job_id, None):
            live.emit_ended("its shutdown was cut off")

    async def aclose(self) -> None:
        """Wait until dead agents are out of their rooms."""
        await asyncio.gather(*self._ending)

    def _find_agent(self, info: RunningJobInfo) -> LoadedAgent:
        decision = read_decision(info.job)
        name = decision.agents[0] if decision else ""
        return self._runtime.catalog.agents.get(name) or LoadedAgent(name=name)

    async def _end(self, job: JobExecutor, info: RunningJobInfo) -> None:
        await asyncio.sleep(LAST_EVENTS_SECONDS)
        died = job.status is JobStatus.FAILED
        if live := self._calls.pop(info.job.id, None):
            if died:
                cause = describe_end(cast("ProcJobExecutor", job))  # threads do not die
                live.emit_error("agent", OpenRTCError(cause), "", fatal=True)
                text = "agent %r: %s; this call is ended, the others go on"
                logger.error(text, live.agent, cause, extra=live.fields)
            live.emit_ended("its process died" if died else "its process has ended")
        if died:
            await self._remove_participants(info)

    def _note(self, event: Event) -> None:
        if isinstance(event, CallEnded):  # the process has emitted its end itself
            self._calls.pop(event.job_id, None)
        elif isinstance(event, CallEvent) and (live := self._calls.get(event.job_id)):
            live.ledger.note(event)

    async def _remove_participants(self, info: RunningJobInfo) -> None:
        # The server would keep them for a while, in case that they come back. A cast has several.
        room = info.job.room.name
        connection = LiveKitConnection.of(self._runtime.config.worker, url=info.url)
        async with open_api(connection) as server:
            there = await _try_request(server.room.list_participants(api.ListParticipantsRequest(room=room)))
            for one in there.participants if there else ():
                if is_agent_of(one.identity, info.job):
                    member = api.RoomParticipantIdentity(room=room, identity=one.identity)
                    await _try_request(server.room.remove_participant(member))


async def _try_request(request: Coroutine[Any, Any, T]) -> T | None:
    try:
        return await asyncio.wait_for(request, REMOVE_SECONDS)
    except Exception as error:  # the room is gone, or one that has left already must not keep the others there
        logger.debug("a participant of a lost job cannot be removed: %s", one_line(str(error)))
        return None


def describe_end(process: ProcJobExecutor) -> str:
    """Return how a job's process has ended by itself, or was ended."""
    code = process.exitcode
    begins_to_kill = [-number for number in find_signals("SIGUSR1")]  # livekit-agents does, with it
    if process.killed or code in begins_to_kill:
        return "its process did not answer any more and was killed"
    if code is not None and code < 0:
        return f"its process was ended by signal {-code}"
    return f"its process ended with exit code {code}"


def _is_not_reported_here(record: logging.LogRecord) -> bool:
    """Whether livekit-agents' line says something that is not logged here, with the agent's name."""
    return not record.getMessage().startswith("process exited with non-zero exit code")
