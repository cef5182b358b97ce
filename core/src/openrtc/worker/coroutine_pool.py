"""`CoroutinePool`: every job a task of the worker's loop, in the place of livekit-agents' pool of processes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from livekit.agents import JobContext, utils

from openrtc.worker.hang_up import end_leftovers_soon
from openrtc.worker.shielded_connect import wait_until_left
from openrtc.worker.upstream.jobs import JobLifecycle, JobStatus, PooledAgentServer, RunningJobInfo, cancel_and_wait

logger = logging.getLogger("openrtc.worker")

CLOSE_SECONDS = 90.0
"""How long a job has to shut down before it is cancelled, besides the end of its session: livekit-agents itself
gives the entrypoint 15 s and closing the session 60 s."""


class CoroutineJob:
    """One job as a task; it has the interface of livekit-agents' job executors.

    Args:
        server: The server that the job belongs to.
        info: The job.
        userdata: Initial contents of ``JobProcess.userdata``.
    """

    def __init__(
        self,
        server: PooledAgentServer,
        info: RunningJobInfo,
        userdata: Mapping[str, Any],
    ) -> None:
        self._info = info
        self._failed = False
        self._server = server
        self.id = utils.shortuuid("coroutine_")
        self.started = True
        self.user_arguments: Any | None = None
        self._lifecycle = JobLifecycle(
            self._enter,
            session_end=server.session_end,
            session_end_seconds=server.session_end_seconds,
            inference=server.inference_executor,
            userdata=userdata,
        )
        self.task = asyncio.create_task(self._lifecycle.run(info), name=f"job-{info.job.id}")
        self._deadline = asyncio.create_task(self._end_in_time(), name="job-deadline")
        self.task.add_done_callback(lambda _: self._deadline.cancel())

    @property
    def running_job(self) -> RunningJobInfo | None:
        """The job."""
        return self._info

    @property
    def status(self) -> JobStatus:
        """Whether the job runs, failed or succeeded."""
        if not self.task.done():
            return JobStatus.RUNNING
        return JobStatus.FAILED if self._failed else JobStatus.SUCCESS

    @property
    def job_id(self) -> str:
        """LiveKit's id of the job."""
        return self._info.job.id

    def logging_extra(self) -> dict[str, Any]:
        """Fields for livekit-agents' log lines about this job."""
        return {"executor": self.id, "job_id": self._info.job.id}

    async def start(self) -> None:
        """Nothing to start: the worker's loop runs already."""

    async def initialize(self) -> None:
        """Nothing to initialise: the worker has prewarmed."""

    async def launch_job(self, info: RunningJobInfo) -> None:
        """Refuse: the job was launched when this object was made."""
        raise RuntimeError(f"this executor runs {self._info.job.id} already")

    async def join(self) -> None:
        """Wait until the job has ended. Cancelling the wait does not touch the job."""
        await asyncio.wait({self.task})

    async def aclose(self) -> None:
        """Shut the job down gracefully; cancel it only when it does not end in time."""
        self._lifecycle.request_shutdown("worker shutdown")
        await asyncio.wait({self.task}, timeout=self._server.pool.close_seconds)
        if not self.task.done():
            await cancel_and_wait(self.task)

    async def _end_in_time(self) -> None:
        # A job process would be killed; here a shutdown that hangs would keep its slot for ever.
        await self._lifecycle.shutting_down.wait()
        seconds = self._server.pool.close_seconds  # a second signal may make it less meanwhile
        await asyncio.sleep(seconds)
        text = "job %s has not ended %d s after its call: it is cancelled"
        logger.error(text, self.job_id, seconds, extra=self.logging_extra())
        self.task.cancel()

    async def _enter(self, context: JobContext) -> None:
        try:
            await self._server.entrypoint(context)
        except asyncio.CancelledError:
            raise
        except Exception:
            self._failed = True
            raise


class CoroutinePool(utils.EventEmitter[str]):
    """The jobs of one server; it has what `AgentServer` uses of livekit-agents' own pool.

    ``failures`` counts the jobs that failed.

    Args:
        server: The server.
        prewarm: Run once, before the server takes jobs; returns the contents of every ``JobProcess.userdata``.
    """

    def __init__(self, server: PooledAgentServer, prewarm: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__()
        self._server = server
        self.close_seconds = CLOSE_SECONDS + server.session_end_seconds
        self._prewarm = prewarm
        self._userdata: Mapping[str, Any] = {}
        self._jobs: list[CoroutineJob] = []
        self.failures = 0

    @property
    def processes(self) -> list[CoroutineJob]:
        """The running jobs."""
        return self._jobs

    @property
    def target_idle_processes(self) -> int:
        """Always 0: there is nothing to keep idle."""
        return 0

    def set_target_idle_processes(self, num_idle_processes: int) -> None:
        """Nothing to keep idle."""

    def get_by_job_id(self, job_id: str) -> CoroutineJob | None:
        """Return the running job with this id."""
        return next((job for job in self._jobs if job.running_job and job.running_job.job.id == job_id), None)

    async def start(self) -> None:
        """Prewarm."""
        self._userdata = self._prewarm()

    async def launch_job(self, info: RunningJobInfo) -> None:
        """Start a job as a task of this loop."""
        info.launched_at = time.time()
        job = CoroutineJob(self._server, info, self._userdata)
        self._jobs.append(job)
        job.task.add_done_callback(lambda _: self._closed(job))
        self.emit("process_job_launched", job)

    async def aclose(self) -> None:
        """Shut all jobs down and wait until the rooms are left."""
        await asyncio.gather(*(job.aclose() for job in list(self._jobs)), return_exceptions=True)
        await wait_until_left(min(self.close_seconds, CLOSE_SECONDS))

    def _closed(self, job: CoroutineJob) -> None:
        self._jobs.remove(job)
        end_leftovers_soon(job.job_id)
        self.failures += job.status is JobStatus.FAILED
        self.emit("process_closed", job)
