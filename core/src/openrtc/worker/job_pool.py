"""`JobPool`: hands each job to the loop that all share, or to a thread or process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping

from livekit.agents import utils

from openrtc.catalog.isolation import KINDS
from openrtc.errors import one_line
from openrtc.worker.admission import DECISION_ATTRIBUTE
from openrtc.worker.apart import ApartCalls, WaitingJob
from openrtc.worker.coroutine_pool import CoroutineJob, CoroutinePool
from openrtc.worker.upstream.jobs import JobExecutor, JobStatus, ProcPool, RunningJobInfo

logger = logging.getLogger("openrtc.worker")

Job = CoroutineJob | JobExecutor

START_SECONDS = 240.0
"""How long a job waits for its thread or process at most: twice as long as one may take to start."""

IDLE_THREAD_SECONDS = 5.0
"""How long threads without a job have to end: those of livekit-agents 1.8.0 wait for ever for their own answer."""


class JobPool(utils.EventEmitter[str]):
    """All jobs of one server, wherever they run; it has what `AgentServer` uses of livekit-agents' own pool.

    Args:
        shared: Runs the jobs that share the worker's loop.
        apart: Runs the others: livekit-agents' own pools by their kind, ``thread`` or ``process``.
        kind_of: Returns the kind of an agent's calls by its name.
        default: The kind of jobs for which no agent was chosen yet; its pool is waited for at the start.
        calls: Where the calls in processes of their own are told.
        patience: Seconds that a job waits for its thread or process.
    """

    def __init__(
        self,
        shared: CoroutinePool,
        apart: Mapping[str, ProcPool],
        *,
        kind_of: Callable[[str], str],
        default: str,
        calls: ApartCalls,
        patience: float = START_SECONDS,
    ) -> None:
        super().__init__()
        self._shared = shared
        self._apart = dict(apart)
        self._kind_of = kind_of
        self._default = default
        self._calls = calls
        self._patience = patience
        self._waiting: dict[str, WaitingJob] = {}
        self._starting: list[asyncio.Task[None]] = []
        self._hurried = asyncio.Event()
        self._failed_apart = 0
        for event in ("process_job_launched", "process_closed"):
            shared.on(event, self._passing_on(event))
        for kind, pool in self._apart.items():
            pool.on("process_started", self._passing_on("process_started"))
            pool.on("process_job_launched", self._launched_in(kind))
            pool.on("process_closed", self._closed_in(kind))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of isolation that jobs may have besides the shared loop."""
        return tuple(self._apart)

    @property
    def processes(self) -> list[Job]:
        """The running jobs, and the threads and processes that wait for one."""
        return [*self._shared.processes, *(job for pool in self._apart.values() for job in pool.processes)]

    @property
    def failures(self) -> int:
        """How many jobs have failed."""
        return self._shared.failures + self._failed_apart

    @property
    def close_seconds(self) -> float:
        """How long a job in the shared loop has to shut down before it is cancelled."""
        return self._shared.close_seconds

    @property
    def target_idle_processes(self) -> int:
        """How many threads and processes wait for a job."""
        return sum(pool.target_idle_processes for pool in self._apart.values())

    def set_target_idle_processes(self, num_idle_processes: int) -> None:
        """The number that waits does not follow the load."""

    def get_by_job_id(self, job_id: str) -> Job | WaitingJob | None:
        """Return the job with this id: a running one, or one that waits for a process."""
        pools: list[CoroutinePool | ProcPool] = [self._shared, *self._apart.values()]
        found = (job for pool in pools if (job := pool.get_by_job_id(job_id)) is not None)
        return next(found, self._waiting.get(job_id))

    async def start(self) -> None:
        """Prewarm; only the pool of the worker's own kind is waited for, so that registering is not delayed."""
        await self._shared.start()
        for kind, pool in self._apart.items():
            if kind == self._default:
                await pool.start()
            else:
                self._starting.append(asyncio.create_task(pool.start(), name=f"{kind}-pool"))
                await asyncio.sleep(0)

    async def launch_job(self, info: RunningJobInfo) -> None:
        """Start a job where its agent's calls run. A job whose first process still starts waits for that."""
        kind = self._kind(info)
        if kind not in self._apart:
            await self._shared.launch_job(info)
            return
        waiting = WaitingJob(info, asyncio.create_task(self._apart[kind].launch_job(info)))
        self._waiting[info.job.id] = waiting
        try:
            await waiting.wait(self._patience)
        except Exception as error:
            self._failed_apart += 1
            self._calls.not_launched(info, kind, one_line(f"{type(error).__name__}: {error}"))
            self.emit("process_closed", waiting)
        finally:
            del self._waiting[info.job.id]

    def hurry(self, seconds: float) -> None:
        """From now on, closing gives live calls only ``seconds``."""
        self._shared.close_seconds = seconds
        self._hurried.set()

    async def aclose(self) -> None:
        """Shut all jobs down."""
        killing = asyncio.create_task(self._kill_when_hurried())
        for starting in self._starting:
            starting.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(self._shared.aclose(), *map(self._close, self._apart))
        killing.cancel()
        await asyncio.gather(killing, self._calls.aclose(), return_exceptions=True)

    async def _close(self, kind: str) -> None:
        pool = self._apart[kind]
        closing = asyncio.create_task(pool.aclose(), name=f"close-{kind}-pool")
        while not closing.done():
            await asyncio.wait({closing}, timeout=IDLE_THREAD_SECONDS)
            if kind == "thread" and not any(job.running_job for job in pool.processes):
                break
        if not closing.done():
            logger.debug("an idle thread did not end; it ends with the process")
            closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)

    async def _kill_when_hurried(self) -> None:
        # livekit-agents gives each process more time than a second signal leaves.
        await self._hurried.wait()
        await asyncio.sleep(self._shared.close_seconds)
        jobs = [job for pool in self._apart.values() for job in pool.processes if job.running_job]
        await asyncio.gather(*(job.kill() for job in jobs if hasattr(job, "kill")), return_exceptions=True)

    def _kind(self, info: RunningJobInfo) -> str:
        if info.fake_job:
            return "coroutine"  # whoever holds a conversation without a room is in this process
        with contextlib.suppress(ValueError, LookupError):
            agents = json.loads(info.job.attributes[DECISION_ATTRIBUTE])["agents"]
            return max(map(self._kind_of, agents), key=KINDS.index)
        return self._default

    def _passing_on(self, event: str) -> Callable[[Job], None]:
        return lambda job: self.emit(event, job)

    def _launched_in(self, kind: str) -> Callable[[JobExecutor], None]:
        def launched(job: JobExecutor) -> None:
            if kind == "process" and job.running_job:
                self._calls.launched(job.running_job)
            self.emit("process_job_launched", job)

        return launched

    def _closed_in(self, kind: str) -> Callable[[JobExecutor], None]:
        def closed(job: JobExecutor) -> None:
            if job.running_job:
                self._failed_apart += job.status is JobStatus.FAILED
                if kind == "process":
                    self._calls.closed(job)
            self.emit("process_closed", job)

        return closed
