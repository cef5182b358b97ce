"""`Monitor`: everything that exposes a worker's state: event sinks, health routes, the socket of `openrtc top`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import psutil
from livekit.agents import get_job_context

from openrtc.dispatch.connection import strip_credentials
from openrtc.dispatch.relaunch import AnsweredDispatch
from openrtc.errors import OpenRTCError
from openrtc.model.cast_member import current_role
from openrtc.model.status import Status
from openrtc.observe.call_lines import CallLines
from openrtc.observe.forwarding import EventReceiver
from openrtc.observe.jsonl import JsonlFile
from openrtc.observe.logs import CallFields, complete_call_fields
from openrtc.observe.process_growth import ProcessGrowth
from openrtc.observe.process_memory import resident_bytes
from openrtc.observe.prometheus import Gauges, PrometheusMetrics
from openrtc.observe.snapshots import SnapshotServer
from openrtc.observe.sockets import events_path, make_private_folder, remove_stale, snapshot_path
from openrtc.observe.words import NONE, Words
from openrtc.observe.worker_state import CallRow, WorkerState
from openrtc.posix import NO_UNIX_SOCKETS, has_unix_sockets
from openrtc.runtime.runtime import Runtime
from openrtc.server.settings import find_public_key
from openrtc.worker.load import SERVER_LIMIT, LoadGauge
from openrtc.worker.orders import Orders
from openrtc.worker.process_starts import ProcessStarts
from openrtc.worker.registrations import Registrations

logger = logging.getLogger("openrtc.worker")

CPU_SAMPLE_SECONDS = 1.0
"""Between two looks at the calls' CPU time; `openrtc top` shows the share of the last five."""


BLOCKED_SECONDS = 1.0
"""A loop whose last beat is older takes no calls, whatever it could say itself."""


class MonitoredServer(Protocol):
    """What a `Monitor` reads of a worker's server, which builds the monitor itself."""

    @property
    def isolation(self) -> str:
        """Where calls run by default."""

    @property
    def kinds(self) -> Mapping[str, str]:
        """Where the calls of each ready agent run."""

    @property
    def isolated(self) -> Sequence[str]:
        """The agents that get processes because they have blocked the loop again and again."""

    @property
    def load(self) -> LoadGauge:
        """How full the worker is."""

    def list_answered(self) -> list[AnsweredDispatch]:
        """Return the dispatches of the live calls."""

    @property
    def orders(self) -> Orders:
        """What its operator orders."""

    @property
    def process_starts(self) -> ProcessStarts:
        """Which agents take no calls, since no process starts for them."""

    @property
    def registrations(self) -> Registrations:
        """Whether the LiveKit server knows it."""


class Monitor:
    """Everything that exposes a worker's state: event sinks, health routes, the socket of `openrtc top`.

    Args:
        runtime: What the calls share.
        server: The worker.
    """

    def __init__(self, runtime: Runtime, server: MonitoredServer) -> None:
        self._runtime = runtime
        self._server = server
        self._since = time.time()
        self.state = WorkerState(Words(runtime.config.observe.words_in_top, runtime.hooks.redact))
        self.growth = ProcessGrowth()
        self.metrics = PrometheusMetrics(self._list_gauges)
        self.beat_age: Callable[[], float] = float
        """Returns how long ago the loop has last beaten, in seconds; may be called in any thread."""
        self.events_socket = events_path(os.getpid())

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Let the sinks take the events, and `openrtc top` find this worker, for the time of the context.

        Raises:
            OpenRTCError: The file for the events cannot be written.
        """
        file, observe = self._runtime.config.worker.metrics_jsonl, self._runtime.config.observe
        redact = self._runtime.hooks.redact
        async with contextlib.AsyncExitStack() as stack:
            if file:
                sink = JsonlFile(Path(file), Words(observe.words_in_files, redact))
                stack.callback(sink.close)
                stack.callback(self._runtime.events.subscribe(sink))
                self._server.orders.forget = partial(_forget, sink)
            self._server.orders.describe_agents = self._runtime.describe_agents
            if observe.words_in_log != NONE:
                stack.callback(self._runtime.events.subscribe(CallLines(Words(observe.words_in_log, redact))))
            stack.callback(self._runtime.events.subscribe(self.state))
            stack.callback(self._runtime.events.subscribe(self.metrics))
            stack.enter_context(
                complete_call_fields(CallFields(_find_current_job_id, self.state.find_fields, current_role))
            )
            self._open_sockets(stack)
            sampling = asyncio.create_task(self._sample_calls(), name="monitor")
            stack.callback(sampling.cancel)
            yield

    def why_unready(self) -> str | None:
        """Return why the worker takes no calls, or None when it does."""
        registrations = self._server.registrations
        if self.state.draining or registrations.draining:
            return "draining"
        if not registrations.complete:
            return "starting"
        if registrations.connecting:
            return "not connected to the LiveKit server"
        if self.broken.keys() >= set(self._runtime.catalog.ready):
            return "no agent is ready"
        return "blocked" if self.beat_age() >= BLOCKED_SECONDS else None

    @property
    def broken(self) -> dict[str, Status]:
        """Where agents stand for whose calls no process starts, by their names."""
        return self._server.process_starts.statuses

    def snapshot(self) -> dict[str, Any]:
        """Return the worker as ``openrtc top --json`` shows it."""
        calls, worker, age = self.state.calls, self._runtime.config.worker, self.beat_age()
        return {
            "pid": os.getpid(),
            "environment": sys.prefix,
            "worker_id": self.state.worker_id,
            "state": self.why_unready() or "ready",
            "isolation": self._server.isolation,
            "isolated": list(self._server.isolated),
            "paused": sorted(self._server.orders.paused),
            "broken": {name: status.reason for name, status in self.broken.items()},
            "left_out": {one.distribution: one.reason for one in self._runtime.config.hung},
            "session_host": worker.session_host,
            "profile": worker.profile,
            "drift": [one.to_json() for one in self._runtime.drift],
            "roll_out_failed": self.state.roll_out_failed,
            "agent_name": worker.agent_name,
            "agent_names": list(self._server.registrations.names),
            "url": strip_credentials(worker.url),
            # Never a secret: only which of those that everybody knows it is.
            "public_key": find_public_key(worker.api_key, worker.api_secret),
            "uptime_seconds": round(time.time() - self._since, 3),
            "sessions": sum(not call.waiting for call in calls),
            "waiting": sum(call.waiting for call in calls),
            "max_sessions": worker.max_sessions,
            # Before the start there is no pool whose jobs could be counted.
            "load": round(self._server.load(), 4) if self.state.worker_id else 0.0,
            "load_limit": SERVER_LIMIT,
            "loop_beat_seconds": round(age, 3),
            "loop_lag_ms": round(self._server.load.worst_lag * 1000, 2),
            "memory_mb": round(self._total_memory(calls) / 1e6, 1),
            "served": self.state.ended + sum(call.started for call in calls),
            "failed": self.state.failed,
            "left_behind": {by: asdict(count) for by, count in self.state.left_behind.items()},
            "growth_estimate": growth.to_json() if (growth := self.growth.estimate()) else None,
            "rejects": dict(self.state.rejects),
            "recent_rejects": self.state.recent_rejects,
            "recent_failures": self.state.recent_failures,
            "blocked_ms": round(self.state.blocked * 1000, 1),
            "calls": [call.to_json() for call in calls],
            # Without a connection to the server, the worker's agents do not come back to its rooms either.
            "dispatches": [
                one.to_json() for one in self._server.list_answered() if self._server.registrations.connected
            ],
        }

    def _open_sockets(self, stack: contextlib.AsyncExitStack) -> None:
        if not has_unix_sockets():
            logger.info("openrtc top cannot see this worker: %s", NO_UNIX_SOCKETS)
            return
        worker = self._runtime.config.worker
        try:
            make_private_folder()
            remove_stale()
            stack.callback(
                SnapshotServer(snapshot_path(os.getpid()), self.snapshot, self._server.orders.carry_out).close
            )
            # The events of calls that have no process are emitted here.
            policy = self._runtime.config.policy
            may_come = worker.on_block == "isolate" or policy.pick_up == "new"
            if may_come or "process" in self._server.kinds.values():
                receiver = EventReceiver(self.events_socket, self._runtime.events)
                loop = asyncio.get_running_loop()
                loop.add_reader(receiver, receiver.receive)
                stack.callback(receiver.close)
                stack.callback(loop.remove_reader, receiver)
        except (OSError, OpenRTCError) as error:
            # A folder that somebody else owns, or a full disk, must not keep calls from being answered.
            logger.warning("openrtc top cannot see this worker: %s", error)

    async def _sample_calls(self) -> None:
        while True:
            await asyncio.sleep(CPU_SAMPLE_SECONDS)
            calls = self.state.calls
            for call in calls:
                self._sample(call)
            self.growth.look(self.state.ended, len(calls))

    def _sample(self, call: CallRow) -> None:
        if live := self._runtime.live.get(call.job_id):
            call.cpu.append((time.monotonic(), live.cpu.seconds))
        elif call.started and call.pid != os.getpid():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = psutil.Process(call.pid).cpu_times()
                call.cpu.append((time.monotonic(), times.user + times.system))

    def _total_memory(self, calls: list[CallRow]) -> int:
        total = resident_bytes()
        for pid in {call.pid for call in calls} - {os.getpid()}:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += resident_bytes(pid)
        return total

    def _list_gauges(self) -> Gauges:
        now = self.snapshot()
        single = {
            "ready": ("Whether the worker takes calls.", now["state"] == "ready"),
            "sessions": ("Live calls, each with a slot.", now["sessions"]),
            "sessions_waiting": ("Calls with nobody in them, not yet or no more, without a slot.", now["waiting"]),
            "max_sessions": ("How many calls the worker takes at once.", now["max_sessions"]),
            "load": (f"Load as the LiveKit server hears it; {SERVER_LIMIT} is full.", now["load"]),
            "loop_lag_seconds": ("By how much the loop ran late, at worst in 5 s.", now["loop_lag_ms"] / 1000),
            "loop_beat_age_seconds": ("Since the loop has last run, as of now.", now["loop_beat_seconds"]),
            "memory_bytes": ("Resident memory of the worker and its jobs' processes.", now["memory_mb"] * 1e6),
            "uptime_seconds": ("Since the start.", now["uptime_seconds"]),
        }
        for name, (meaning, value) in single.items():
            yield name, meaning, [({}, value)]
        if (growth := now["growth_estimate"]) is not None:
            over = f"An estimate over {growth['calls']} calls: by how much this process grew"
            yield "growth_bytes_per_call", f"{over} a call.", [({}, growth["memory_mb"] * 1e6)]
            if growth["descriptors"] is not None:
                yield "growth_descriptors_per_call", f"{over} a call.", [({}, growth["descriptors"])]
        yield "agent_state", "1 for the state of each agent.", self._list_agent_states()
        yield "plugin_state", "1 for the state of each plugin.", self._list_plugin_states()

    def _list_agent_states(self) -> Iterator[tuple[dict[str, str], float]]:
        broken = self.broken
        for row in self._runtime.catalog.rows:
            state = broken.get(row.name, row.status).state if row.usable else row.state
            yield {"agent": row.name, "distribution": row.distribution, "state": str(state)}, 1

    def _list_plugin_states(self) -> Iterator[tuple[dict[str, str], float]]:
        for plugin in self._runtime.plugins:
            yield {"plugin": plugin.name, "state": str(plugin.state)}, 1


def _forget(sink: JsonlFile, identity: str) -> dict[str, str]:
    live = sink.forget(identity)
    return {"done": f"writes no more of {', '.join(live)}" if live else "", "file": str(sink.path)}


def _find_current_job_id() -> str | None:
    context = get_job_context(required=False)
    return context.job.id if context else None
