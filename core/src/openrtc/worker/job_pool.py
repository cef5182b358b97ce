"""`JobPool`: hands each job to the loop that all share, or to a thread or process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, cast

import psutil
from livekit.agents import utils

from openrtc.errors import one_line
from openrtc.model.isolation import ISOLATIONS
from openrtc.observe.log_guard import reattach
from openrtc.posix import has_unix_sockets
from openrtc.upstream.jobs import JobExecutor, JobStatus, ProcPool, RunningJobInfo
from openrtc.worker.admission import read_decision
from openrtc.worker.coroutine_pool import CoroutineJob, CoroutinePool
from openrtc.worker.isolated_calls import IsolatedCalls, describe_end
from openrtc.worker.process_starts import ProcessStarts

if TYPE_CHECKING:
    from livekit.agents.ipc.job_proc_executor import ProcJobExecutor

logger = logging.getLogger("openrtc.worker")

Job = CoroutineJob | JobExecutor

START_SECONDS = 240.0
"""How long a job waits for its thread or process at most: twice as long as one may take to start."""

MOST_IDLE = 1000
"""More processes than any pool keeps idle: each keeps as many as it was built for."""

IDLE_THREAD_SECONDS = 5.0
"""How long threads without a job have to end: those of livekit-agents 1.8.0 wait for ever for their own answer."""


class JobPool(utils.EventEmitter[str]):
    """All jobs of one server, wherever they run; it has what `AgentServer` uses of livekit-agents' own pool.

    Args:
        shared: Runs the jobs that share the worker's loop.
        isolated: Run the others: livekit-agents' own pools by their kind, ``thread`` or ``process``.
        find_kind: Returns the kind of an agent's calls by its name.
        default: The kind of jobs for which no agent was chosen yet; its pool is waited for at the start.
        calls: Where calls are reported that are lost, or end, with their processes.
        starts: Counts the starts of processes that fail.
        start_seconds: How long a job waits for its thread or process.
        before_process: Called whenever a process is about to import the packages.
    """

    def __init__(
        self,
        shared: CoroutinePool,
        isolated: Mapping[str, ProcPool],
        *,
        find_kind: Callable[[str], str],
        default: str,
        calls: IsolatedCalls,
        starts: ProcessStarts,
        start_seconds: float = START_SECONDS,
        before_process: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._shared = shared
        self._isolated: dict[str, ProcPool] = {}
        self._find_agent_kind = find_kind
        self._default = default
        self._calls = calls
        self._starts = starts
        starts.follow(self._hold_processes, self._retry_process)
        self._start_seconds = start_seconds
        self._before_process = before_process
        self._waiting: dict[str, WaitingJob] = {}
        self._starting: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._close_shortened = asyncio.Event()
        self._held = asyncio.Event()
        self._closing = False
        self._failed_isolated = 0
        self._begun: dict[JobExecutor, float] = {}
        """Processes that start, and since when."""
        self._ready: dict[JobExecutor, float] = {}
        """Processes that wait for a job, and for how many seconds they have started."""
        self._unusable: dict[int, Collection[str]] = {}
        """By process, the agents that cannot be used in it."""
        self.blocking: set[str] = set()
        """Agents whose jobs get processes because they have blocked the loop again and again."""
        shared.on("process_job_launched", self._emit_launched)
        shared.on("process_closed", self._emit_closed)
        for kind, pool in isolated.items():
            self._adopt(kind, pool)

    def _adopt(self, kind: str, pool: ProcPool) -> None:
        self._isolated[kind] = pool
        if kind == "process":
            pool.on("process_created", self._note_created)
            pool.on("process_ready", self._note_ready)
            pool.on("process_job_launched", self._note_not_ready)
            pool.on("process_closed", self._note_process_closed)
        pool.on("process_started", lambda job: self.emit("process_started", job))
        pool.on("process_job_launched", self._note_launched if kind == "process" else self._emit_launched)
        pool.on("process_closed", lambda job: self._note_closed(job, kind))

    @property
    def processes(self) -> list[Job]:
        """The running jobs, and the threads and processes that wait for one."""
        isolated = [job for pool in self._isolated.values() for job in pool.processes if not _has_ended(job)]
        return [*self._shared.processes, *isolated]

    @property
    def failures(self) -> int:
        """How many jobs have failed."""
        return self._shared.failures + self._failed_isolated

    def set_target_idle_processes(self, num_idle_processes: int) -> None:
        """Keep as many waiting as before: livekit-agents would let the number follow the load."""

    def get_by_job_id(self, job_id: str) -> Job | WaitingJob | None:
        """Return the job with this id: a running one, or one that waits for a process."""
        pools: list[CoroutinePool | ProcPool] = [self._shared, *self._isolated.values()]
        found = (job for pool in pools if (job := pool.get_by_job_id(job_id)) is not None)
        return next(found, self._waiting.get(job_id))

    def end(self, job_id: str, reason: str) -> None:
        """Let a job shut down."""
        if job := self._shared.get_by_job_id(job_id):
            job.lifecycle.request_shutdown(reason)
        elif isolated := self.get_by_job_id(job_id):
            ending = asyncio.create_task(isolated.aclose(), name="end-job")
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def end_served(self, job_id: str, reason: str) -> None:
        """Let a job of the shared loop shut down whose sessions have closed.

        One in a process is left alone: it may be shutting down already, and would be killed after livekit-agents'
        ``close_timeout``.
        """
        if job := self._shared.get_by_job_id(job_id):
            job.lifecycle.request_shutdown(reason)

    def is_ending(self, job_id: str) -> bool:
        """Whether a job of the shared loop has begun to shut down."""
        job = self._shared.get_by_job_id(job_id)
        return job is not None and job.ending

    async def start(self) -> None:
        """Prewarm; only the pool of the worker's own kind is waited for, so that registering is not delayed."""
        for kind, pool in self._isolated.items():
            starting = asyncio.create_task(pool.start(), name=f"{kind}-pool")
            self._starting.append(starting)
            await asyncio.sleep(0)  # it must have begun before a job or the end of the worker comes
            if kind == self._default:
                held = asyncio.create_task(self._held.wait())
                await asyncio.wait({starting, held}, return_when=asyncio.FIRST_COMPLETED)
                held.cancel()

    async def isolate(self, agent: str, build: Callable[[], ProcPool]) -> tuple[JobExecutor, float] | None:
        """Give the jobs of a blocking agent processes from now on, each for which one is ready.

        Args:
            agent: Its name.
            build: Builds a pool of processes, where none is there yet.

        Returns:
            A process that is ready, and how many seconds it has taken to start; None where none came to be.
        """
        if "process" not in self._isolated:
            pool = build()
            self._adopt("process", pool)
            starting = asyncio.create_task(pool.start(), name="process-pool")
            self._starting.append(starting)
            await asyncio.wait({starting})
        if self._ready:
            self.blocking.add(agent)
        return next(iter(self._ready.items()), None)

    async def add_kind(self, kind: str, build: Callable[[], ProcPool]) -> None:
        """Let jobs have threads or processes that none had so far.

        Args:
            kind: ``thread`` or ``process``.
            build: Builds livekit-agents' pool of them.
        """
        if kind not in self._isolated:
            pool = build()
            self._adopt(kind, pool)
            self._starting.append(asyncio.create_task(pool.start(), name=f"{kind}-pool"))
            await asyncio.sleep(0)  # as in `start`

    async def launch_job(self, info: RunningJobInfo) -> None:
        """Start a job where its agent's calls run. A job whose first process still starts waits for that."""
        reattach()  # livekit-agents adds a job's fields to the log that it finds there
        kind = self._find_kind(info)
        if kind not in self._isolated:
            await self._shared.launch_job(info)
            return
        waiting = WaitingJob(info, asyncio.create_task(self._isolated[kind].launch_job(info)), kind)
        self._give_up_broken([waiting])
        self._waiting[info.job.id] = waiting
        try:
            await waiting.wait(self._start_seconds)
        except Exception as error:
            # Whatever it was: the LiveKit server must hear that the job has failed, from a stand-in for the process
            # that never was.
            self._failed_isolated += 1
            self._calls.report_not_launched(info, kind, one_line(f"{type(error).__name__}: {error}"))
            self.emit("process_closed", waiting)
        finally:
            del self._waiting[info.job.id]

    def shorten_close(self, seconds: float) -> None:
        """Give live calls only ``seconds`` from now on when the pool closes."""
        self._shared.close_seconds = seconds
        self._close_shortened.set()

    async def close_jobs(self, jobs: Iterable[Job | WaitingJob]) -> None:
        """Shut some jobs down, when the worker closes."""
        killing = asyncio.create_task(self._kill_when_shortened())
        await asyncio.gather(*(job.aclose() for job in jobs), return_exceptions=True)
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)

    async def aclose(self) -> None:
        """Shut all jobs down."""
        self._closing = True
        self._starts.close()
        killing = asyncio.create_task(self._kill_when_shortened())
        for starting in self._starting:
            starting.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(self._shared.aclose(), *map(self._close, self._isolated))
        killing.cancel()
        await asyncio.gather(killing, self._calls.aclose(), return_exceptions=True)

    async def _close(self, kind: str) -> None:
        pool = self._isolated[kind]
        closing = asyncio.create_task(pool.aclose(), name=f"close-{kind}-pool")
        if kind == "thread":
            await close_with_jobs(closing, lambda: [job for job in pool.processes if job.running_job])
        await asyncio.gather(closing, return_exceptions=True)

    async def _kill_when_shortened(self) -> None:
        # livekit-agents gives each process more time than a second signal leaves.
        await self._close_shortened.wait()
        await asyncio.sleep(self._shared.close_seconds)
        jobs = [job for pool in self._isolated.values() for job in pool.processes if job.running_job]
        # A thread cannot be killed.
        await asyncio.gather(*(job.kill() for job in jobs if hasattr(job, "kill")), return_exceptions=True)

    def _find_kind(self, info: RunningJobInfo) -> str:
        if info.fake_job:
            return "coroutine"  # whoever holds a conversation without a room is in this process
        decision = read_decision(info.job)
        if decision is None:
            return self._default
        kind = max(map(self._find_agent_kind, decision.agents), key=ISOLATIONS.index)
        # A caller does not wait for a process that must start first.
        if kind == "coroutine" and not self.blocking.isdisjoint(decision.agents) and self._has_free_process():
            return "process"
        return kind

    def _has_free_process(self) -> bool:
        # A job that waits may have been given one already.
        return len(self._ready) > len(self._waiting)

    def _emit_launched(self, job: Job) -> None:
        self.emit("process_job_launched", job)

    def _emit_closed(self, job: Job) -> None:
        if job.running_job:
            self._calls.note_over(job.running_job.job.id)
        self.emit("process_closed", job)

    def end_soon(self, job_id: str, seconds: float) -> None:
        """Let a job of the shared loop, which is shutting down, have only ``seconds`` for that from now on."""
        if job := self._shared.get_by_job_id(job_id):
            job.end_soon(seconds)

    def _note_created(self, job: JobExecutor) -> None:
        self._begun[job] = time.monotonic()
        self._before_process()

    def _note_ready(self, job: JobExecutor) -> None:
        self._ready[job] = time.monotonic() - self._begun.pop(job)
        if not has_unix_sockets():  # else it tells by itself
            self._starts.note_started({})
        self._close_useless()

    def _note_not_ready(self, job: JobExecutor) -> None:
        self._ready.pop(job, None)

    def _note_process_closed(self, job: JobExecutor) -> None:
        process = cast("ProcJobExecutor", job)
        self._ready.pop(job, None)
        self._unusable.pop(process.pid or 0, None)
        if self._begun.pop(job, None) is not None and not self._closing:
            ending = describe_end(process) if process.pid else "no process could be made"
            self._starts.note_failed(process.pid, f"{ending} before it was ready")

    def note_started(self, pid: int, unusable: Mapping[str, str]) -> None:
        """Note that a process has started.

        Args:
            pid: The process.
            unusable: The agents that cannot be used in it, with the reasons.
        """
        if unusable:
            self._unusable[pid] = unusable
        self._starts.note_started(unusable)
        self._give_up_broken(self._waiting.values())
        self._close_useless()

    def _close_useless(self) -> None:
        """Let another process be started in the place of one that a call could get whose agent is not in it."""
        for job in [*self._ready]:
            if (unusable := self._find_unusable(job)) and not self._starts.may_serve(unusable):
                self._close_idle(job)

    def _close_idle(self, job: JobExecutor) -> None:
        del self._ready[job]
        # Not `aclose`: until the process has ended, which may take seconds, it would be given a call, which is lost.
        with contextlib.suppress(psutil.Error):
            psutil.Process(cast("ProcJobExecutor", job).pid).kill()

    def _give_up_broken(self, jobs: Iterable[WaitingJob]) -> None:
        for waiting in jobs:
            decision = read_decision(waiting.running_job.job) if waiting.kind == "process" else None
            if decision and (reason := self._starts.why_broken(decision.agents)):
                waiting.give_up(reason)

    def _find_unusable(self, job: JobExecutor) -> Collection[str]:
        return self._unusable.get(cast("ProcJobExecutor", job).pid or 0, ())

    def _hold_processes(self, reason: str) -> None:
        self._isolated["process"].set_target_idle_processes(0 if reason else MOST_IDLE)
        if not reason:
            self._held.clear()
            return
        self._held.set()
        for waiting in self._waiting.values():
            if waiting.kind == "process":
                waiting.give_up(reason)

    def _retry_process(self) -> None:
        # In the place of an idle one in which not all agents can be used, where there is one.
        if self._held.is_set():
            self._isolated["process"].set_target_idle_processes(1)
        elif job := next(filter(self._find_unusable, self._ready), None):
            self._close_idle(job)

    def _note_launched(self, job: JobExecutor) -> None:
        if job.running_job:
            self._calls.note_launched(job.running_job)
        self._emit_launched(job)

    def _note_closed(self, job: JobExecutor, kind: str) -> None:
        if job.running_job:
            self._failed_isolated += job.status is JobStatus.FAILED
            if kind == "process":
                self._calls.note_closed(job)
        self._emit_closed(job)


async def close_with_jobs(closing: asyncio.Task[None], find_jobs: Callable[[], Collection[object]]) -> None:
    """Wait until threads have been closed; for those that run no job, not longer than `IDLE_THREAD_SECONDS`.

    Args:
        closing: Closes the threads; it is cancelled when only idle ones are left.
        find_jobs: Returns the jobs that still run.
    """
    while not closing.done():
        await asyncio.wait({closing}, timeout=IDLE_THREAD_SECONDS)
        if not closing.done() and not find_jobs():
            logger.debug("an idle thread did not end; it ends with the process")
            closing.cancel()
            await asyncio.wait({closing})


def _has_ended(job: JobExecutor) -> bool:
    # Where two processes end at once, livekit-agents' drain sees the second one ended before its pool has forgotten it:
    # it waits for it without a pause, again and again, and the loop stands still for ever.
    return job.running_job is not None and job.status is not JobStatus.RUNNING


class WaitingJob:
    """A job that waits for a thread or process; it has of a job executor's interface what a waiting job can have.

    Args:
        info: The job.
        launching: Ends when a thread or process has taken the job.
        kind: What it waits for, ``thread`` or ``process``.
    """

    def __init__(self, info: RunningJobInfo, launching: asyncio.Task[None], kind: str) -> None:
        self.running_job = info
        self.kind = kind
        self._given_up = ""
        self.status = JobStatus.FAILED
        self._launching = launching

    async def wait(self, seconds: float) -> None:
        """Wait until the job was taken, or the call is over; raises what kept it from being taken.

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
        if self._given_up:
            raise RuntimeError(self._given_up)
        if not self._launching.done():
            self._launching.cancel()
            raise RuntimeError(f"none was there within {seconds:g} s")
        if not self._launching.cancelled():
            self._launching.result()

    def give_up(self, reason: str) -> None:
        """Wait no more, since none can be started."""
        if not self._launching.done():
            self._given_up = reason
            self._launching.cancel()

    async def aclose(self) -> None:
        """Forget the job: the call is over before it began."""
        self._launching.cancel()
        await asyncio.wait({self._launching})
