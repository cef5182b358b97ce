"""Makes the `AgentServer` that runs the calls, for each kind of isolation and each agent name."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from livekit.agents import AgentServer, JobExecutorType
from livekit.protocol import agent as proto

from openrtc.catalog.isolation import KINDS
from openrtc.config import WorkerSettings
from openrtc.observe.events import WorkerRegistered
from openrtc.settings import NAME_OVERRIDE
from openrtc.worker.admission import Admission
from openrtc.worker.apart import ApartCalls
from openrtc.worker.coroutine_pool import CoroutinePool
from openrtc.worker.entrypoint import ChildSetup, run_call
from openrtc.worker.health_routes import health_routes
from openrtc.worker.job_pool import JobPool
from openrtc.worker.load import LoadGauge
from openrtc.worker.memory import MemoryWatermark
from openrtc.worker.pool_share import PoolShare
from openrtc.worker.registrations import Registrations
from openrtc.worker.runtime import Runtime
from openrtc.worker.sight import Sight
from openrtc.worker.upstream.jobs import (
    PooledAgentServer,
    ProcPool,
    RoutedAgentServer,
    another_pool,
    preloading,
    why_no_routes,
    why_unsupported,
)
from openrtc.worker.upstream.names import FurtherAgentServer, register_under
from openrtc.worker_names import WorkerNames

logger = logging.getLogger("openrtc.worker")

MAX_IDLE = 4
HURRIED_CLOSE_SECONDS = 2.0
CHILD_START_SECONDS = 120.0
"""A job process imports every agent and loads the resources before it takes a job."""


class WorkerServer:
    """An `AgentServer` for each agent name, with one admission, one load and one pool of jobs.

    Args:
        runtime: What the calls share.
        settings: How the worker runs.
        child_arguments: Further arguments of ``build_runtime`` for job processes; without them, every call runs here.
        max_retry: How often to try to connect to the LiveKit server, if not as often as the settings say.
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: WorkerSettings,
        *,
        child_arguments: Mapping[str, object] | None = None,
        max_retry: int | None = None,
    ) -> None:
        self._runtime = runtime
        self._alone = child_arguments is None
        self._child_arguments = dict(child_arguments or {})
        self._max_retry = settings.max_retry if max_retry is None else max_retry
        self._pool: JobPool | None = None
        self._unsupported = why_unsupported()
        self.isolation = self._supported(settings.isolation)
        self.admission = Admission(runtime, settings.max_sessions, lambda: self.jobs)
        self.memory = MemoryWatermark(settings.memory_limit)
        self.load = LoadGauge(settings.max_sessions, lambda: self.admission.taken, lambda: self.memory.share)
        self.sight = Sight(runtime, self)
        self._routes = _routes(runtime, self.sight)
        self._names = self._supported_names(settings.agent_name)
        self.registrations = Registrations({name: self._make(settings, name) for name in self._names}, self._tell)
        self.agent_server = self.registrations.first

    @property
    def jobs(self) -> list[proto.Job]:
        """The jobs that run now."""
        if self._pool is None:  # before the start, or with a livekit-agents that OpenRTC does not know
            return [info.job for info in self.agent_server.active_jobs] if self._unsupported else []
        return [job.running_job.job for job in self._pool.processes if job.running_job]

    @property
    def active(self) -> int:
        """How many jobs run now."""
        return len(self.jobs)

    @property
    def failures(self) -> int:
        """How many jobs have failed; not known with a livekit-agents that OpenRTC does not know."""
        return self._pool.failures if self._pool else 0

    @property
    def kinds(self) -> dict[str, str]:
        """Where the calls of each ready agent run: ``coroutine``, ``thread`` or ``process``."""
        return {name: self.kind_of(name) for name in self._runtime.catalog.ready}

    def kind_of(self, agent: str) -> str:
        """Return where an agent's calls run."""
        if self._alone or self._unsupported:
            return self.isolation
        return self._runtime.catalog.isolation(agent, self._runtime.config)

    def hurry(self) -> None:
        """From now on, closing gives live calls only a moment."""
        if self._pool:
            self._pool.hurry(HURRIED_CLOSE_SECONDS)

    def _make(self, settings: WorkerSettings, name: str) -> AgentServer:
        options = self._options(settings)
        server: AgentServer
        if self._unsupported:
            server = RoutedAgentServer(num_idle_processes=self._idle(self.isolation), **options)
        else:
            kind = PooledAgentServer if name == self._names[0] else FurtherAgentServer
            server = kind(self._make_pool, num_idle_processes=0, **options)
        register_under(server, name, run_call, self.admission.answer)
        return server

    def _options(self, settings: WorkerSettings) -> dict[str, Any]:
        return {
            "job_executor_type": JobExecutorType.PROCESS if self.isolation == "process" else JobExecutorType.THREAD,
            # The admission counts slots exactly; livekit-agents' own threshold would guess from the load.
            "load_threshold": float("inf"),
            "load_fnc": self.load,
            "drain_timeout": settings.drain_timeout,
            "ws_url": settings.url or None,
            "api_key": settings.api_key or None,
            "api_secret": settings.api_secret or None,
            "host": settings.host,
            "port": settings.port,
            "max_retry": self._max_retry,
            "log_level": {"warning": "WARN"}.get(settings.log_level, settings.log_level.upper()),
            "routes": self._routes,
            "setup_fnc": ChildSetup(self._runtime.config, self._child_arguments, self.sight.events_socket),
            "initialize_process_timeout": CHILD_START_SECONDS,
            **preloading("openrtc.worker.child_preload"),
        }

    def _make_pool(self, server: PooledAgentServer, pool: ProcPool) -> JobPool | PoolShare:
        if isinstance(server, FurtherAgentServer):
            assert self._pool is not None, "the first registration runs first"
            return PoolShare(self._pool, owns=False)
        self._pool = self._whole_pool(server, pool)
        return PoolShare(self._pool, owns=True) if len(self._names) > 1 else self._pool

    def _whole_pool(self, server: PooledAgentServer, pool: ProcPool) -> JobPool:
        kinds = {self.isolation, *self.kinds.values()} - {"coroutine"}
        return JobPool(
            CoroutinePool(server, lambda: dict(self._runtime.resources)),
            {kind: another_pool(pool, kind, self._idle(kind)) for kind in sorted(kinds)},
            kind_of=self.kind_of,
            default=self.isolation,
            calls=ApartCalls(self._runtime),
        )

    def _idle(self, kind: str) -> int:
        # A process that waits costs memory: one is enough where only some agents want one.
        most = MAX_IDLE if kind == self.isolation else 1
        return min(most, os.cpu_count() or 1, self._runtime.config.worker.max_sessions)

    def _tell(self, name: str, worker_id: str) -> None:
        self._runtime.events.emit(WorkerRegistered(worker_id=worker_id, agent_name=name))

    def _supported_names(self, setting: str) -> tuple[str, ...]:
        if forced := os.environ.get(NAME_OVERRIDE):
            text = "%s is set: this worker is registered as %r only, whatever its agent name setting says"
            logger.warning(text, NAME_OVERRIDE, forced)
            return (forced,)
        names = WorkerNames.parse(setting)
        if names.mixed:
            logger.warning(
                "agent name %r: automatic dispatch beside names: a room that a program makes by dispatching to a name "
                "gets an automatic agent, too",
                setting,
            )
        wanted = names.registered(self._runtime.catalog.ready)
        if self._unsupported and len(wanted) > 1:
            logger.warning("this worker is registered as %r only, since livekit-agents is another one", wanted[0])
            return wanted[:1]
        return wanted

    def _supported(self, isolation: str) -> str:
        if self._unsupported is None:
            return isolation
        catalog, config = self._runtime.catalog, self._runtime.config
        wanted = () if self._alone else (catalog.isolation(name, config) for name in catalog.ready)
        instead = max("thread", *wanted, key=KINDS.index)
        logger.warning(
            "this livekit-agents is not the one that OpenRTC knows (%s): every call gets a %s of its own",
            self._unsupported,
            instead,
        )
        return instead


def _routes(runtime: Runtime, sight: Sight) -> list[web.RouteDef]:
    if problem := why_no_routes():
        logger.warning("the health server has neither /ready nor /agents nor /metrics: %s", problem)
        return []
    return health_routes(runtime, sight)
