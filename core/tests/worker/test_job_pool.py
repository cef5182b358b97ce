"""Each job goes where its agent's calls run; jobs that wait for a process can be hung up, and lost ones are told."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from livekit.agents import Agent, JobContext, JobExecutorType, utils
from livekit.agents.job import JobAcceptArguments

from openrtc.model.agents import AgentSpec
from openrtc.model.decision import Decision
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, WorkerSettings
from openrtc.upstream.jobs import JobStatus, PooledAgentServer, ProcPool, RunningJobInfo
from openrtc.worker.admission import attach_decision
from openrtc.worker.coroutine_pool import CoroutinePool
from openrtc.worker.direct_job import build_job
from openrtc.worker.isolated_calls import IsolatedCalls
from openrtc.worker.job_pool import JobPool
from openrtc.worker.server import WorkerServer
from waiting import PATIENCE_SECONDS, wait_until


class Quick(Agent):
    """An agent that does not block."""

    def __init__(self) -> None:
        super().__init__(instructions="x")


class Slow(Quick):
    """An agent that blocks."""

    openrtc_isolation = "thread"


SPECS = [AgentSpec(name="quick", agent=Quick), AgentSpec(name="slow", agent=Slow)]


def runtime_of(specs: Sequence[AgentSpec] = SPECS, **isolation: str) -> Runtime:
    config = Config(isolation=isolation, worker=WorkerSettings(port=0))
    return build_runtime(config, specs=specs, discovered=False)


def job_for(agent: str) -> RunningJobInfo:
    job = build_job(f"{agent}-room")
    attach_decision(job, Decision((agent,), "test", "for the test"))
    arguments = JobAcceptArguments(name=agent, identity=agent, metadata="")
    return RunningJobInfo(
        accept_arguments=arguments, job=job, url="ws://127.0.0.1:9", token="", worker_id="", fake_job=False
    )


def thread_pool(prepare: Callable[[Any], object], *, patience: float = 10.0) -> ProcPool:
    """Return livekit-agents' own pool of threads."""

    async def run(context: JobContext) -> None:
        raise AssertionError("no job of these tests gets to run")

    return ProcPool(
        initialize_process_fnc=prepare,
        job_entrypoint_fnc=run,
        session_end_fnc=None,
        simulation_end_fnc=None,
        num_idle_processes=0,
        initialize_timeout=patience,
        close_timeout=2.0,
        session_end_timeout=2.0,
        inference_executor=None,
        job_executor_type=JobExecutorType.THREAD,
        mp_ctx=multiprocessing.get_context("spawn"),
        memory_warn_mb=0,
        memory_limit_mb=0,
        http_proxy=None,
        loop=asyncio.get_running_loop(),
    )


def pool_with(threads: ProcPool, runtime: Runtime) -> JobPool:
    server = WorkerServer(runtime, child_arguments={})
    assert isinstance(server.agent_server, PooledAgentServer)
    shared = CoroutinePool(server.agent_server, {})
    calls = IsolatedCalls(runtime)
    isolated = {"thread": threads}
    return JobPool(
        shared,
        isolated,
        find_kind=server.find_kind,
        default="coroutine",
        calls=calls,
        starts=server.process_starts,
        start_seconds=8.0,
    )


def test_the_worker_knows_where_the_calls_of_each_agent_run() -> None:
    def kinds(runtime: Runtime, **more: Any) -> dict[str, str]:
        return WorkerServer(runtime, **more).kinds

    assert kinds(runtime_of(), child_arguments={}) == {"quick": "coroutine", "slow": "thread"}
    assert kinds(runtime_of(quick="process", slow="coroutine"), child_arguments={}) == {
        "quick": "process",
        "slow": "coroutine",
    }
    assert kinds(runtime_of()) == {"quick": "coroutine", "slow": "coroutine"}, "a console holds every call itself"


async def test_a_job_that_waits_can_be_hung_up(request: pytest.FixtureRequest) -> None:
    begins, ready = threading.Event(), asyncio.Event()
    request.addfinalizer(begins.set)  # else the loop waits for that thread when this has failed
    started = thread_pool(lambda process: begins.wait(), patience=PATIENCE_SECONDS)
    started.on("process_ready", lambda _: ready.set())
    pool = pool_with(started, runtime_of())
    launched: list[Any] = []
    pool.on("process_job_launched", launched.append)
    await pool.start()
    info = job_for("slow")
    launching = asyncio.create_task(pool.launch_job(info))
    await wait_until(lambda: pool.get_by_job_id(info.job.id))
    waiting = pool.get_by_job_id(info.job.id)
    assert waiting is not None and waiting.running_job is info
    await waiting.aclose()
    await asyncio.wait_for(launching, PATIENCE_SECONDS)  # while no thread is ready
    assert not ready.is_set()
    begins.set()
    await asyncio.wait_for(ready.wait(), PATIENCE_SECONDS)
    await asyncio.sleep(0.2)
    assert pool.get_by_job_id(info.job.id) is None and not launched
    assert not [job for job in pool.processes if job.running_job]
    await asyncio.wait_for(pool.aclose(), PATIENCE_SECONDS)


async def test_a_job_whose_end_hangs_is_cancelled_and_its_slot_is_free(caplog: pytest.LogCaptureFixture) -> None:
    async def begin_to_end(context: JobContext) -> None:
        context.add_shutdown_callback(lambda reason: asyncio.sleep(60.0))
        context.shutdown("over")

    server = PooledAgentServer(lambda server, _: CoroutinePool(server, {}), ws_url="ws://x", api_key="k")
    server.rtc_session(begin_to_end, agent_name="")
    server._proc_pool = server._inference_executor = None
    pool = server.pool
    pool.close_seconds = 0.2
    closed = asyncio.Event()
    pool.on("process_closed", lambda _: closed.set())
    info = replace(job_for("quick"), fake_job=True)
    with caplog.at_level(logging.ERROR, "openrtc.worker"):
        await pool.launch_job(info)
        await asyncio.wait_for(closed.wait(), 60.0)
    assert not pool.processes
    assert f"job {info.job.id} has not ended 0 s after its call: it is cancelled" in caplog.text


async def test_a_job_that_nothing_can_run_is_told_and_reported_as_failed(caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_with(thread_pool(lambda process: time.sleep(0.5), patience=0.1), runtime_of())
    closed: list[Any] = []
    pool.on("process_closed", closed.append)
    await pool.start()
    info = job_for("slow")
    with caplog.at_level(logging.ERROR, "openrtc.worker"):
        await pool.launch_job(info)
    reported = [job for job in closed if job.running_job]
    assert [(job.running_job, job.status) for job in reported] == [(info, JobStatus.FAILED)]
    assert pool.failures == 1
    (said,) = [record.getMessage() for record in caplog.records if record.name == "openrtc.worker"]
    assert said.startswith("agent 'slow': no thread could be started for it: RuntimeError")
    await asyncio.wait_for(pool.aclose(), 10.0)


class EndedProcess:
    """A process that has ended a moment ago, which its pool has not forgotten yet."""

    def __init__(self) -> None:
        self.running_job = job_for("slow")
        self.status = JobStatus.SUCCESS

    async def join(self) -> None:
        """Wait for nothing, without a pause, as livekit-agents does for a process that has ended."""


async def test_a_process_that_ends_while_the_worker_drains_does_not_hold_the_loop() -> None:
    threads = thread_pool(lambda _: None)
    pool = pool_with(threads, runtime_of())
    ended: Any = EndedProcess()
    threads.processes.append(ended)
    waited = 0
    while [job for job in pool.processes if job.running_job]:  # as `AgentServer.drain` waits
        await ended.join()
        waited += 1
        assert waited < 1000


class WaitingProcess:
    """A process that waits for a job."""

    running_job = None


class Processes(utils.EventEmitter[str]):
    """Stands for livekit-agents' pool of processes: one is ready when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Any] = []
        self.waiting: Any = None
        self.took: list[str] = []

    async def start(self) -> None:
        self.make_ready()

    def make_ready(self) -> None:
        self.waiting = WaitingProcess()
        self.emit("process_created", self.waiting)
        self.emit("process_ready", self.waiting)

    async def launch_job(self, info: RunningJobInfo) -> None:
        await asyncio.sleep(0.05)
        self.took.append(info.job.id)
        self.emit("process_job_launched", self.waiting)


async def test_jobs_of_a_blocking_agent_get_a_process_where_one_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = runtime_of()
    pool = pool_with(thread_pool(lambda process: None), runtime)
    shared: list[str] = []

    async def launch_shared(info: RunningJobInfo) -> None:
        shared.append(info.job.id)

    monkeypatch.setattr(pool._shared, "launch_job", launch_shared)
    processes = Processes()
    first, second, third, fourth, other = (job_for(name) for name in ("quick",) * 4 + ("slow",))
    await pool.launch_job(first)
    ready = await pool.isolate("quick", lambda: processes)  # type: ignore[arg-type,return-value]  # what is used of it
    assert ready is not None and ready[0] is processes.waiting
    assert pool.blocking == {"quick"}
    # Two at once, and one process: nobody waits for another one to start.
    await asyncio.gather(pool.launch_job(second), pool.launch_job(third))
    await pool.launch_job(fourth)
    assert processes.took == [second.job.id]
    assert shared == [first.job.id, third.job.id, fourth.job.id]
    processes.make_ready()
    await pool.launch_job(fifth := job_for("quick"))
    assert processes.took == [second.job.id, fifth.job.id]
    assert pool._find_kind(other) == "thread"
