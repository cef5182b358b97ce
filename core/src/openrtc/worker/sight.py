"""`Sight`: all through which an operator sees a worker, put together: sinks, health routes, `openrtc top`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from livekit.agents import get_job_context

from openrtc.cast.current import current_role
from openrtc.dispatch.connection import shown_address
from openrtc.errors import OpenRTCError
from openrtc.observe.board import Board, CallRow
from openrtc.observe.forwarding import EventReceiver
from openrtc.observe.jsonl import JsonlFile
from openrtc.observe.logs import CallFields, call_fields
from openrtc.observe.prometheus import Gauges, PrometheusMetrics
from openrtc.observe.snapshot_server import SnapshotServer
from openrtc.observe.socket_folder import events_path, private_folder, remove_stale, snapshot_path
from openrtc.worker.load import SERVER_LIMIT
from openrtc.worker.runtime import Runtime

if TYPE_CHECKING:
    from openrtc.worker.server import WorkerServer

logger = logging.getLogger("openrtc.worker")

TICK_SECONDS = 1.0


class Sight:
    """What an operator sees of one worker.

    Args:
        runtime: What the calls share.
        server: The worker.
    """

    def __init__(self, runtime: Runtime, server: WorkerServer) -> None:
        self._runtime = runtime
        self._server = server
        self._process = psutil.Process()
        self._since = time.time()
        self.board = Board()
        self.metrics = PrometheusMetrics(self._gauges)
        self.events_socket = events_path(os.getpid())

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Let the sinks take the events, and `openrtc top` find this worker, for the time of the context.

        Raises:
            OpenRTCError: The file for the events cannot be written.
        """
        file = self._runtime.config.worker.metrics_jsonl
        async with contextlib.AsyncExitStack() as stack:
            if file:
                sink = JsonlFile(Path(file))
                stack.callback(sink.close)
                stack.callback(self._runtime.events.subscribe(sink))
            stack.callback(self._runtime.events.subscribe(self.board))
            stack.callback(self._runtime.events.subscribe(self.metrics))
            stack.enter_context(call_fields(CallFields(_current_job, self.board.fields_of, current_role)))
            self._open_sockets(stack)
            ticking = asyncio.create_task(self._tick(), name="sight")
            stack.callback(ticking.cancel)
            yield

    def why_not_ready(self) -> str | None:
        """Return why the worker takes no calls, or None when it does."""
        registrations = self._server.registrations
        if self.board.draining or registrations.draining:
            return "draining"
        if not registrations.complete:
            return "starting"
        if registrations.connecting:
            return "not connected to the LiveKit server"
        if not self._runtime.catalog.ready:
            return "no agent is ready"
        return None

    def snapshot(self) -> dict[str, Any]:
        """Return the worker as ``openrtc top --json`` shows it."""
        calls, worker = self.board.calls, self._runtime.config.worker
        return {
            "pid": os.getpid(),
            "worker_id": self.board.worker_id,
            "state": self.why_not_ready() or "ready",
            "isolation": self._server.isolation,
            "agent_name": worker.agent_name,
            "agent_names": list(self._server.registrations.names),
            "url": shown_address(worker.url),
            "uptime_seconds": round(time.time() - self._since, 3),
            "sessions": len(calls),
            "max_sessions": worker.max_sessions,
            "load": round(self._server.load(), 4) if self.board.worker_id else 0.0,
            "load_limit": SERVER_LIMIT,
            "loop_lag_ms": round(self._server.load.worst_lag * 1000, 2),
            "memory_mb": round(self._memory(calls) / 1e6, 1),
            "served": self.board.ended + sum(call.started for call in calls),
            "failed": self.board.failed,
            "rejects": dict(self.board.rejects),
            "recent_rejects": self.board.recent_rejects,
            "blocked_ms": round(self.board.blocked * 1000, 1),
            "calls": [call.to_json() for call in calls],
        }

    def _open_sockets(self, stack: contextlib.ExitStack | contextlib.AsyncExitStack) -> None:
        try:
            remove_stale(private_folder())
            stack.callback(SnapshotServer(snapshot_path(os.getpid()), self.snapshot).close)
            if "process" in self._server.kinds.values():
                receiver = EventReceiver(self.events_socket, self._runtime.events)
                loop = asyncio.get_running_loop()
                loop.add_reader(receiver, receiver.receive)
                stack.callback(receiver.close)
                stack.callback(loop.remove_reader, receiver)
        except (OSError, OpenRTCError) as error:
            logger.warning("openrtc top cannot see this worker: %s", error)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for call in self.board.calls:
                self._sample(call)

    def _sample(self, call: CallRow) -> None:
        live = self._runtime.live.get(call.job_id)
        if live is not None:
            call.cpu.append((time.monotonic(), live.cpu.seconds))
        elif call.started and call.pid != os.getpid():
            self._sample_process(call)

    def _sample_process(self, call: CallRow) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(call.pid).cpu_times()
            call.cpu.append((time.monotonic(), times.user + times.system))

    def _memory(self, calls: list[CallRow]) -> float:
        total = float(self._process.memory_info().rss)
        for pid in {call.pid for call in calls} - {os.getpid()}:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += psutil.Process(pid).memory_info().rss
        return total

    def _gauges(self) -> Gauges:
        now = self.snapshot()
        single = {
            "ready": ("Whether the worker takes calls.", now["state"] == "ready"),
            "sessions": ("Live calls.", now["sessions"]),
            "max_sessions": ("How many calls the worker takes at once.", now["max_sessions"]),
            "load": (f"Load as the LiveKit server hears it; {SERVER_LIMIT} is full.", now["load"]),
            "loop_lag_seconds": ("By how much the loop ran late, at worst in 5 s.", now["loop_lag_ms"] / 1000),
            "memory_bytes": ("Resident memory of the worker and its jobs' processes.", now["memory_mb"] * 1e6),
            "uptime_seconds": ("Since the start.", now["uptime_seconds"]),
        }
        for name, (meaning, value) in single.items():
            yield name, meaning, [({}, value)]
        yield "agent_state", "1 for the state of each agent.", self._agent_states()
        yield "plugin_state", "1 for the state of each plugin.", self._plugin_states()

    def _agent_states(self) -> Iterator[tuple[dict[str, str], float]]:
        for row in self._runtime.catalog.rows:
            yield {"agent": row.name, "distribution": row.distribution, "state": str(row.state)}, 1

    def _plugin_states(self) -> Iterator[tuple[dict[str, str], float]]:
        for plugin in self._runtime.plugins:
            yield {"plugin": plugin.name, "state": str(plugin.state)}, 1


def _current_job() -> str | None:
    context = get_job_context(required=False)
    return context.job.id if context else None
