"""`PoolShare`: the jobs of one registration in the pool that all registrations of a worker share."""

from __future__ import annotations

from collections.abc import Callable

from livekit.agents import utils

from openrtc.upstream.jobs import RunningJobInfo
from openrtc.worker.job_pool import Job, JobPool, WaitingJob


class PoolShare(utils.EventEmitter[str]):
    """One registration's part of a `JobPool`: its own jobs and no others, so that it reports on them alone.

    Each `AgentServer` reports every job of its pool to the LiveKit server, under its own registration; with the pool
    itself, each registration would report those of all.

    Args:
        pool: The pool.
        owns: Whether the pool starts and ends with this registration.
    """

    def __init__(self, pool: JobPool, *, owns: bool) -> None:
        super().__init__()
        self._pool = pool
        self._owns = owns
        self._own: set[str] = set()
        for event in ("process_job_launched", "process_closed"):
            pool.on(event, self._emit_own(event))

    @property
    def processes(self) -> list[Job]:
        """The running jobs of this registration."""
        return [job for job in self._pool.processes if self._is_own(job)]

    def set_target_idle_processes(self, num_idle_processes: int) -> None:
        """As for `JobPool`."""

    def get_by_job_id(self, job_id: str) -> Job | WaitingJob | None:
        """Return the job with this id."""
        return self._pool.get_by_job_id(job_id)

    async def start(self) -> None:
        """Start the pool, if it is this registration's."""
        if self._owns:
            await self._pool.start()

    async def launch_job(self, info: RunningJobInfo) -> None:
        """Start a job of this registration."""
        self._own.add(info.job.id)
        await self._pool.launch_job(info)

    async def aclose(self) -> None:
        """Shut all jobs down, if the pool is this registration's; else its own, on which it could not report later."""
        if self._owns:
            await self._pool.aclose()
        else:
            await self._pool.close_jobs(self.processes)

    def _is_own(self, job: Job | WaitingJob) -> bool:
        return job.running_job is not None and job.running_job.job.id in self._own

    def _emit_own(self, event: str) -> Callable[[Job | WaitingJob], None]:
        def emit(job: Job | WaitingJob) -> None:
            if not self._is_own(job):
                return
            self.emit(event, job)
            if event == "process_closed" and job.running_job:
                self._own.discard(job.running_job.job.id)

        return emit
