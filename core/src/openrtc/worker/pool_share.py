"""`PoolShare`: the jobs of one registration in the pool that all registrations of a worker share."""

from __future__ import annotations

from collections.abc import Callable

from livekit.agents import utils

from openrtc.worker.apart import WaitingJob
from openrtc.worker.job_pool import Job, JobPool
from openrtc.worker.upstream.jobs import RunningJobInfo


class PoolShare(utils.EventEmitter[str]):
    """One registration's part of a `JobPool`: its own jobs and no others, so that it reports on them alone.

    Args:
        pool: The pool.
        owns: Whether the pool starts and ends with this registration.
    """

    def __init__(self, pool: JobPool, *, owns: bool) -> None:
        super().__init__()
        self._pool = pool
        self._owns = owns
        self._own: set[str] = set()
        pool.on("process_job_launched", self._passing_on("process_job_launched"))
        pool.on("process_closed", self._passing_on("process_closed"))

    @property
    def processes(self) -> list[Job]:
        """The running jobs of this registration."""
        return [job for job in self._pool.processes if self._is_own(job)]

    @property
    def close_seconds(self) -> float:
        """How long a job in the shared loop has to shut down before it is cancelled."""
        return self._pool.close_seconds

    @property
    def target_idle_processes(self) -> int:
        """How many threads and processes wait for a job of any registration."""
        return self._pool.target_idle_processes

    def set_target_idle_processes(self, num_idle_processes: int) -> None:
        """The number that waits does not follow the load."""

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
        """Shut all jobs down, if the pool is this registration's; else whoever owns it does."""
        if self._owns:
            await self._pool.aclose()

    def _is_own(self, job: Job | WaitingJob) -> bool:
        return job.running_job is not None and job.running_job.job.id in self._own

    def _passing_on(self, event: str) -> Callable[[Job | WaitingJob], None]:
        def tell(job: Job | WaitingJob) -> None:
            if not self._is_own(job):
                return
            self.emit(event, job)
            if event == "process_closed" and job.running_job:
                self._own.discard(job.running_job.job.id)

        return tell
