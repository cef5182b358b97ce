"""What the health server answers beside livekit-agents' own ``/`` and ``/worker``, and before a worker is there.

All of this runs in the health server's thread: it reads what may be read in any thread, and waits for no lock there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from openrtc.catalog.loaded import LoadedAgent
from openrtc.catalog.rows import loaded_row
from openrtc.model.status import Status
from openrtc.observe.health.readiness import STARTING, describe_readiness
from openrtc.observe.health.server import HealthServer
from openrtc.observe.prometheus import CONTENT_TYPE
from openrtc.plugins.guard.clock import describe_hang
from openrtc.runtime.runtime import Runtime
from openrtc.settings.config import WorkerSettings
from openrtc.threads import ThreadOwner
from openrtc.upstream.digest import describe_changes
from openrtc.worker.control_channel import ControlChannel, Place

if TYPE_CHECKING:  # it imports livekit, which this does without: a worker answers before it has imported anything
    from openrtc.worker.monitor import Monitor

logger = logging.getLogger("openrtc.worker")


@contextlib.contextmanager
def open_health_server(worker: WorkerSettings, channel: ControlChannel | None = None) -> Iterator[HealthServer | None]:
    """Answer that the worker is starting, until `HealthServer.serve` says more, for the time of the context.

    There is none with a livekit-agents that OpenRTC does not know: then that listens itself.

    Args:
        worker: The settings.
        channel: To the supervisor, if there is one: it may have the sockets that listen.

    Raises:
        OpenRTCError: It cannot listen there.
    """
    if changes := describe_changes("health"):
        text = "there is neither /ready nor /agents nor /metrics, since OpenRTC does not know this livekit-agents: %s"
        logger.warning(text, changes)
        yield None
        return
    place = channel.place if channel else Place()
    listeners = [socket.socket(fileno=descriptor) for descriptor in place.doors]
    routes = _build_starting_routes()
    with HealthServer(worker.host, worker.port, routes, listeners=listeners, answers=place.answers) as server:
        if channel:
            channel.call_when_gone(server.leave)
        yield server


def build_health_routes(runtime: Runtime, monitor: Monitor) -> list[web.RouteDef]:
    """Return ``/ready``, ``/agents`` and ``/metrics``.

    Args:
        runtime: What the calls share.
        monitor: Knows whether the worker takes calls, and its metrics.
    """
    threads = ThreadOwner("metrics")

    async def ready(_: web.Request) -> web.Response:
        most, left_out = runtime.config.worker.max_sessions, runtime.config.hung
        found = {name: [lack.what for lack in runtime.find_lacks(name)] for name in runtime.catalog.ready}
        lacks = {name: what for name, what in found.items() if what}
        age = monitor.beat_age()
        more: dict[str, Any] = {"lacks": lacks, "broken": monitor.broken, "drift": _list_drift(runtime)}
        more |= {"roll_out_failed": monitor.state.roll_out_failed}
        return _answer_ready(monitor.why_unready(), max_sessions=most, beat_age=age, left_out=left_out, **more)

    async def agents(_: web.Request) -> web.Response:
        broken = monitor.broken
        rows = [_describe_agent(row, runtime, broken) for row in runtime.catalog.rows]
        return web.json_response({"schema_version": 1, "agents": rows, "drift": _list_drift(runtime)})

    async def metrics(_: web.Request) -> web.Response:
        # In a thread: the text waits for locks that a sink may hold, and looks at every job's process.
        text = await asyncio.get_running_loop().run_in_executor(threads.own, monitor.metrics.render)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    return [web.get("/ready", ready), web.get("/agents", agents), web.get("/metrics", metrics)]


def _describe_agent(row: LoadedAgent, runtime: Runtime, broken: Mapping[str, Status]) -> dict[str, Any]:
    if row.usable and row.name in broken:
        row = replace(row, status=broken[row.name])
    lacks = runtime.find_lacks(row.name) if row.name in runtime.catalog.ready else ()
    return loaded_row(replace(row, lacks=lacks), runtime.config)


def _list_drift(runtime: Runtime) -> list[dict[str, Any]]:
    return [drift.to_json() for drift in runtime.drift]


def _build_starting_routes() -> list[web.RouteDef]:
    async def ready(_: web.Request) -> web.Response:
        return _answer_ready(STARTING)

    async def anything(_: web.Request) -> web.Response:
        return web.Response(status=503, text=f"{STARTING}\n")

    return [web.get("/ready", ready), web.get("/{path:.*}", anything)]


def _answer_ready(reason: str | None, **more: Any) -> web.Response:
    answer = describe_readiness(reason, waits_for=describe_hang(), **more)
    return web.json_response(answer, status=503 if reason else 200)
