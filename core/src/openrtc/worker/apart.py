"""What the worker knows and tells of calls that run in a process of their own."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from livekit import api

from openrtc.errors import OpenRTCError, one_line
from openrtc.observe.events import CallEnded, Event
from openrtc.plugins.loaded import LoadedAgent
from openrtc.routing.decision import Decision
from openrtc.worker.admission import DECISION_ATTRIBUTE, distribution_of
from openrtc.worker.live_call import LiveCall
from openrtc.worker.participant import is_of_job
from openrtc.worker.runtime import Runtime
from openrtc.worker.server_api import server_api
from openrtc.worker.upstream.jobs import JobExecutor, JobStatus, RunningJobInfo

logger = logging.getLogger("openrtc.worker")

T = TypeVar("T")

LAST_WORDS_SECONDS = 0.3
REMOVE_SECONDS = 10.0
"""How long the LiveKit server has to take a dead agent out of its room."""


class WaitingJob:
    """A job that waits for a process; it has of a job executor's interface what a waiting job can have.

    Args:
        info: The job.
        launching: Ends when a process has taken the job.
    """

    def __init__(self, info: RunningJobInfo, launching: asyncio.Task[None]) -> None:
        self.running_job = info
        self.status = JobStatus.FAILED
        self._launching = launching

    async def wait(self, seconds: float) -> None:
        """Wait until a process has taken the job, or the call is over; raises what kept it from being taken.

        Args:
            seconds: The longest wait: livekit-agents 1.8.0 waits for ever for a process that cannot start.

        Raises:
            RuntimeError: The time is over.
        """
        try:
            await asyncio.wait({self._launching}, timeout=seconds)
        except asyncio.CancelledError:
            self._launching.cancel()
            raise
        if not self._launching.done():
            self._launching.cancel()
            raise RuntimeError(f"none was there within {seconds:g} s")
        if not self._launching.cancelled():
            self._launching.result()

    async def aclose(self) -> None:
        """Forget the job: the call is over before it began."""
        self._launching.cancel()
        await asyncio.wait({self._launching})


class ApartCalls:
    """Tells of the calls in processes of their own what they cannot tell themselves: that their process has died.

    Args:
        runtime: What the calls of this process share.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._removing: set[asyncio.Task[None]] = set()
        self._calls: dict[str, LiveCall] = {}
        runtime.events.subscribe(self._forget)
        upstream = logging.getLogger("livekit.agents")
        if _told_here not in upstream.filters:
            upstream.addFilter(_told_here)

    def launched(self, info: RunningJobInfo) -> None:
        """Note that a process has taken a job."""
        agent = self._agent_of(info)
        live = LiveCall(
            events=self._runtime.events,
            job_id=info.job.id,
            room=info.job.room.name,
            agent=agent.name,
            distribution=distribution_of(agent),
        )
        self._calls[live.job_id] = live
        self._runtime.served += 1

    def closed(self, job: JobExecutor) -> None:
        """Note that a job's process has ended; one that did not end by itself has left its participant behind."""
        if info := job.running_job:
            ending = asyncio.create_task(self._end(job, info))
            self._removing.add(ending)
            ending.add_done_callback(self._removing.discard)

    async def _end(self, job: JobExecutor, info: RunningJobInfo) -> None:
        # What the process told at its end is still on its way.
        await asyncio.sleep(LAST_WORDS_SECONDS)
        died = job.status is JobStatus.FAILED
        if live := self._calls.pop(info.job.id, None):
            if died:
                self._tell(live, _how_it_died(job))
            live.ended("its process died" if died else "its process has ended")
        if died:
            await self._remove(info)

    def _forget(self, event: Event) -> None:
        if isinstance(event, CallEnded):
            self._calls.pop(event.job_id, None)

    def not_launched(self, info: RunningJobInfo, kind: str, error: str) -> None:
        """Tell that a job could not be run."""
        agent = self._agent_of(info).name
        said = f"no {kind} could be started for it: {error}"
        logger.error(
            "agent %r: %s; this call is lost", agent, said, extra={"job_id": info.job.id, "room": info.job.room.name}
        )

    async def aclose(self) -> None:
        """Wait until dead agents are out of their rooms."""
        await asyncio.gather(*self._removing)

    def _agent_of(self, info: RunningJobInfo) -> LoadedAgent:
        carried = info.job.attributes[DECISION_ATTRIBUTE]
        name = Decision.from_json(carried).agents[0] if carried else ""
        return self._runtime.catalog.agents.get(name) or LoadedAgent(name=name)

    def _tell(self, live: LiveCall, said: str) -> None:
        live.error("agent", OpenRTCError(said), "", fatal=True)
        logger.error("agent %r: %s; this call is ended, the others go on", live.agent, said, extra=live.fields)

    async def _remove(self, info: RunningJobInfo) -> None:
        # The server would keep the participant for a while, in case that it comes back.
        room = info.job.room.name
        async with server_api(self._runtime.config.worker, info.url) as server:
            there = await _in_time(server.room.list_participants(api.ListParticipantsRequest(room=room)))
            for one in there.participants if there else ():
                if is_of_job(one.identity, info.job.id):
                    member = api.RoomParticipantIdentity(room=room, identity=one.identity)
                    await _in_time(server.room.remove_participant(member))


async def _in_time(request: Coroutine[Any, Any, T]) -> T | None:
    try:
        return await asyncio.wait_for(request, REMOVE_SECONDS)
    except Exception as error:  # the room is gone, or whoever else has left it must not keep the others there
        logger.debug("a participant of a lost job cannot be removed: %s", one_line(str(error)))
        return None


def _how_it_died(job: JobExecutor) -> str:
    code = getattr(job, "exitcode", None)
    if getattr(job, "killed", False) or code == -signal.SIGUSR1:  # with which livekit-agents begins to kill
        return "its process did not answer any more and was killed"
    if code is not None and code < 0:
        return f"its process was ended by signal {-code}"
    return f"its process ended with exit code {code}"


def _told_here(record: logging.LogRecord) -> bool:
    """Whether livekit-agents' line tells something that is not told here, with the agent's name."""
    return not record.getMessage().startswith("process exited with non-zero exit code")
