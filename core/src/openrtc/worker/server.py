"""Makes the `AgentServer` that runs the calls, for each kind of isolation."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from livekit.agents import AgentServer, JobExecutorType

from openrtc.config import WorkerSettings
from openrtc.observe.events import WorkerRegistered
from openrtc.worker.coroutine_pool import CoroutinePool
from openrtc.worker.entrypoint import Admission, ChildSetup, run_call
from openrtc.worker.health_routes import health_routes
from openrtc.worker.load import LoadGauge
from openrtc.worker.runtime import Runtime
from openrtc.worker.sight import Sight
from openrtc.worker.upstream import PooledAgentServer, RoutedAgentServer, why_no_routes, why_unsupported

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
        child_arguments: Further arguments of ``build_runtime`` for job processes.
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
        self.isolation = _supported(settings.isolation)
        self.unwatch_loop: Callable[[], None] = _nothing
        self.admission = Admission(runtime, settings.max_sessions, lambda: self.active)
        self.load = LoadGauge(settings.max_sessions, lambda: self.admission.taken)
        self.sight = Sight(runtime, self)
        self.agent_server = self._make(runtime, settings, dict(child_arguments or {}), max_retry)
        self.agent_server.rtc_session(run_call, agent_name=settings.agent_name, on_request=self.admission.answer)
        self.agent_server.on("worker_registered", lambda worker_id, _: _tell_registered(runtime, worker_id))

    @property
    def active(self) -> int:
        """How many jobs run now."""
        return len(self.agent_server.active_jobs)

    @property
    def failures(self) -> int:
        """How many jobs have failed; known in coroutine mode only."""
        return self.agent_server.pool.failures if isinstance(self.agent_server, PooledAgentServer) else 0

    def hurry(self) -> None:
        """From now on, closing gives live calls only a moment."""
        if isinstance(self.agent_server, PooledAgentServer):
            self.agent_server.pool.close_seconds = HURRIED_CLOSE_SECONDS

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
        options["routes"] = _routes(runtime, self.sight)
        if self.isolation == "coroutine":
            return PooledAgentServer(
                lambda server, pool: CoroutinePool(server, lambda: dict(runtime.resources)),
                num_idle_processes=0,
                **options,
            )
        idle = min(MAX_IDLE, os.cpu_count() or 1, settings.max_sessions)
        return RoutedAgentServer(
            setup_fnc=ChildSetup(runtime.config, arguments, self.sight.events_socket),
            num_idle_processes=idle,
            initialize_process_timeout=CHILD_START_SECONDS,
            preload_modules=["openrtc.worker.child_preload"],
            **options,
        )


def _routes(runtime: Runtime, sight: Sight) -> list[web.RouteDef]:
    if problem := why_no_routes():
        logger.warning("the health server has neither /ready nor /agents nor /metrics: %s", problem)
        return []
    return health_routes(runtime, sight)


def _tell_registered(runtime: Runtime, worker_id: str) -> None:
    runtime.events.emit(WorkerRegistered(worker_id=worker_id))


def _nothing() -> None:
    """What ends the watch over the loop before it began."""


def _supported(isolation: str) -> str:
    problem = why_unsupported() if isolation == "coroutine" else None
    if problem is None:
        return isolation
    logger.warning("this livekit-agents is not the one that coroutine mode knows (%s): using threads", problem)
    return "thread"
