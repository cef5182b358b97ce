"""`CoroutinePool`: every job a task of the worker's loop, in the place of livekit-agents' pool of processes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from livekit.agents import JobContext, utils

from openrtc.observe.event_stream import EventStream
from openrtc.session.build import list_holdings
from openrtc.session.containment import build_log_fields
from openrtc.session.leftovers import Leftovers
from openrtc.session.room_connect import wait_until_left
from openrtc.threads import ThreadOwner, current_threads
from openrtc.upstream.jobs import JobStatus, PooledAgentServer, RunningJobInfo

logger = logging.getLogger("openrtc.worker")

CLOSE_SECONDS = 90.0
"""How long a job has to shut down before it is cancelled, besides the end of its session: livekit-agents itself
gives the entrypoint 15 s and closing the session 60 s."""

SESSION_SECONDS = 60
"""How much of that is for closing the session, which waits for tools."""

WORD_SECONDS = 0.1
"""How long a job is not told yet that it shall end, as it takes to a process of livekit-agents: an agent that deletes
its room and then says why the call ends is heard first."""


class CoroutinePool(utils.EventEmitter[str]):
    """The jobs that share the worker's loop.

    ``failures`` counts the jobs that failed; ``close_seconds`` is how long a job has to shut down before it is
    cancelled, and may be changed at any time.

    Args:
        server: The server.
        userdata: Initial contents of every ``JobProcess.userdata``, read when a job starts.
        holders: What outlives every call, besides modules and ``userdata``; gone through at the end of each call.
        hang_up_seconds: How long a tool may go on when everybody has left.
        events: Where it is told what calls leave behind, if given.
    """

    def __init__(
        self,
        server: PooledAgentServer,
        userdata: Mapping[str, Any],
        holders: Iterable[object] = (),
        hang_up_seconds: float = SESSION_SECONDS,
        events: EventStream | None = None,
    ) -> None:
        super().__init__()
        # Not at the top: it fails with a livekit-agents that OpenRTC does not know, and then there is no such pool.
        from openrtc.upstream.lifecycle import JobLifecycle

        self.build_lifecycle = JobLifecycle
        self.server = server
        self.userdata = userdata
        longer = max(0, hang_up_seconds - SESSION_SECONDS)
        self.close_seconds = CLOSE_SECONDS + longer + server.session_end_seconds
        self.failures = 0
        self.leftovers = Leftovers(self._list_holders, events)
        self._holders = holders
        self._jobs: list[CoroutineJob] = []
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def processes(self) -> list[CoroutineJob]:
        """The running jobs."""
        return self._jobs

    def get_by_job_id(self, job_id: str) -> CoroutineJob | None:
        """Return the running job with this id."""
        return next((job for job in self._jobs if job.job_id == job_id), None)

    async def launch_job(self, info: RunningJobInfo) -> None:
        """Start a job as a task of this loop."""
        self.leftovers.begin(info.job.id)
        info.launched_at = time.time()  # as livekit-agents' own pool does, for its timeline of the dispatch
        job = CoroutineJob(self, info)
        self._jobs.append(job)
        job.task.add_done_callback(lambda _: self._forget(job))
        self.emit("process_job_launched", job)

    async def aclose(self) -> None:
        """Shut all jobs down and wait until the rooms are left."""
        # A list of its own: a job that has ended takes itself out.
        await asyncio.gather(*(job.aclose() for job in list(self._jobs)), return_exceptions=True)
        await self.leftovers.aclose(self.close_seconds)
        await wait_until_left(min(self.close_seconds, CLOSE_SECONDS))

    def _list_holders(self) -> list[object]:
        """Return what outlives a call that has ended, besides modules: also what the agents of other calls have."""
        live = {job.job_id for job in self._jobs}
        return [*self.userdata.values(), *self._holders, *list_holdings(live)]

    def _forget(self, job: CoroutineJob) -> None:
        self._jobs.remove(job)
        self.leftovers.end_soon(job.job_id, job.context, job.threads)
        job.threads.close()
        if job.lifecycle.in_room:  # its shutdown was cut off: a silent agent would stay
            leaving = asyncio.create_task(job.lifecycle.leave_room(), name="leave-room")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        self.failures += job.status is JobStatus.FAILED
        self.emit("process_closed", job)


class CoroutineJob:
    """One job as a task; it has what `AgentServer` uses of livekit-agents' job executors.

    Args:
        pool: The pool that runs it.
        info: The job.
    """

    def __init__(self, pool: CoroutinePool, info: RunningJobInfo) -> None:
        self._pool = pool
        self._failed = False
        self.context: JobContext | None = None
        self.running_job = info
        self.job_id = info.job.id
        self.log_fields: dict[str, Any] = {"job_id": self.job_id}
        self.threads = ThreadOwner(self.job_id)
        self.lifecycle = pool.build_lifecycle(pool.server, self._run_entrypoint, pool.userdata)
        # Here and not in the entrypoint: callbacks at shutdown run in a task that the entrypoint has not made.
        context = contextvars.copy_context()
        context.run(current_threads.set, self.threads)
        self.task = asyncio.create_task(self.lifecycle.run(info), name=f"job-{self.job_id}", context=context)
        deadline = asyncio.create_task(self._end_in_time(), name="job-deadline")
        self.task.add_done_callback(lambda _: deadline.cancel())

    @property
    def status(self) -> JobStatus:
        """Whether the job runs, failed or succeeded."""
        if not self.task.done():
            return JobStatus.RUNNING
        return JobStatus.FAILED if self._failed else JobStatus.SUCCESS

    @property
    def ending(self) -> bool:
        """Whether it has begun to shut down."""
        return self.lifecycle.shutting_down.is_set()

    async def join(self) -> None:
        """Wait until the job has ended. Cancelling the wait does not touch the job."""
        # Not `await self.task`, which would hand a cancellation on: livekit-agents cancels this wait when the drain
        # timeout is over, and the call would be cut off instead of being shut down.
        await asyncio.wait({self.task})

    async def aclose(self) -> None:
        """Shut the job down gracefully; cancel it only when it does not end in time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.lifecycle.shutting_down.wait(), WORD_SECONDS)
        self.lifecycle.request_shutdown("parent process shutdown")  # what callbacks hear in a process of livekit-agents
        await asyncio.wait({self.task}, timeout=self._pool.close_seconds)
        if not self.task.done():
            await utils.aio.cancel_and_wait(self.task)

    def end_soon(self, seconds: float) -> None:
        """Cancel the job when it has not ended in ``seconds``: its code was broken off, and so may its shutdown be."""
        asyncio.get_running_loop().call_later(seconds, self._give_up, seconds)

    async def _end_in_time(self) -> None:
        # A job process would be killed; here a shutdown that hangs would keep its slot for ever.
        await self.lifecycle.shutting_down.wait()
        seconds = self._pool.close_seconds  # a second signal may make it less meanwhile
        await asyncio.sleep(seconds)
        self._give_up(seconds)

    def _give_up(self, seconds: float) -> None:
        if not self.task.done():
            text = "job %s has not ended %d s after its call: it is cancelled"
            logger.error(text, self.job_id, seconds, extra={"job_id": self.job_id})
            self.task.cancel()

    async def _run_entrypoint(self, context: JobContext) -> None:
        self.context = context
        try:
            await self._pool.server.entrypoint(context)
        except asyncio.CancelledError:
            raise
        except Exception:  # livekit-agents only logs it: the job would count as a success
            self._failed = True
            raise
        finally:
            self.log_fields = build_log_fields(context)
