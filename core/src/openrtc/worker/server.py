"""Makes the `AgentServer` that runs the calls, for each kind of isolation."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from livekit.agents import AgentServer, JobExecutorType

from openrtc.catalog.isolation import KINDS
from openrtc.config import WorkerSettings
from openrtc.worker.apart import ApartCalls
from openrtc.worker.coroutine_pool import CoroutinePool
from openrtc.worker.entrypoint import Admission, ChildSetup, run_call
from openrtc.worker.job_pool import JobPool
from openrtc.worker.load import LoadGauge
from openrtc.worker.runtime import Runtime
from openrtc.worker.upstream import PooledAgentServer, ProcPool, another_pool, preloading, why_unsupported

logger = logging.getLogger("openrtc.worker")

MAX_IDLE = 4
HURRIED_CLOSE_SECONDS = 2.0
CHILD_START_SECONDS = 120.0
"""A job process imports every agent and loads the resources before it takes a job."""


class WorkerServer:
    """An `AgentServer` with its admission and its load.

    Args:
        runtime: What the calls share.
        settings: How the worker runs.
        child_arguments: Further arguments of ``build_runtime`` for job processes; without them, every call runs here.
        max_retry: How often to try to connect to the LiveKit server.
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: WorkerSettings,
        *,
        child_arguments: Mapping[str, object] | None = None,
        max_retry: int = 16,
    ) -> None:
        self._runtime = runtime
        self._alone = child_arguments is None
        self._unsupported = why_unsupported()
        self.isolation = self._supported(settings.isolation)
        self.unwatch_loop: Callable[[], None] = _nothing
        self.admission = Admission(runtime, settings.max_sessions, lambda: self.active)
        self.load = LoadGauge(settings.max_sessions, lambda: self.admission.taken)
        self.agent_server = self._make(runtime, settings, dict(child_arguments or {}), max_retry)
        self.agent_server.rtc_session(run_call, agent_name=settings.agent_name, on_request=self.admission.answer)

    @property
    def active(self) -> int:
        """How many jobs run now."""
        return len(self.agent_server.active_jobs)

    @property
    def failures(self) -> int:
        """How many jobs have failed; not known with a livekit-agents that OpenRTC does not know."""
        return self.agent_server.pool.failures if isinstance(self.agent_server, PooledAgentServer) else 0

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
        if isinstance(self.agent_server, PooledAgentServer):
            self.agent_server.pool.hurry(HURRIED_CLOSE_SECONDS)

    def _make(
        self, runtime: Runtime, settings: WorkerSettings, arguments: dict[str, object], max_retry: int
    ) -> AgentServer:
        options: dict[str, Any] = {
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
            "max_retry": max_retry,
            "log_level": {"warning": "WARN"}.get(settings.log_level, settings.log_level.upper()),
        }
        options |= {
            "setup_fnc": ChildSetup(runtime.config, arguments),
            "initialize_process_timeout": CHILD_START_SECONDS,
            **preloading("openrtc.worker.child_preload"),
        }
        if self._unsupported:
            return AgentServer(num_idle_processes=self._idle(self.isolation), **options)
        return PooledAgentServer(self._make_pool, num_idle_processes=0, **options)

    def _make_pool(self, server: PooledAgentServer, pool: ProcPool) -> JobPool:
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


def _nothing() -> None:
    """What ends the watch over the loop before it began."""
