"""Gives the further calls of an agent that blocks the loop again and again processes, and says what that costs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

import psutil

from openrtc.observe.events import AgentIsolated
from openrtc.observe.process_memory import own_bytes
from openrtc.worker.admission import find_distribution
from openrtc.worker.blocked_loop.blocking_agents import (
    BLOCKING_CALLS,
    CALLS_REMEMBERED,
    LONG_BLOCK_SECONDS,
    BlockingAgents,
)
from openrtc.worker.server import WorkerServer

logger = logging.getLogger("openrtc.worker")


@contextlib.contextmanager
def isolate_blocking_agents(server: WorkerServer) -> Iterator[None]:
    """Follow the events of a worker for the time of the context, where the operator wants agents isolated.

    Args:
        server: The worker, whose loop is running.
    """
    if server.runtime.config.worker.on_block != "isolate":
        yield
        return
    loop, isolating = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def start(agent: str) -> None:
        task = loop.create_task(_isolate(server, agent), name="isolate-agent")
        isolating.add(task)
        task.add_done_callback(isolating.discard)

    def on_found(agent: str) -> None:
        loop.call_soon_threadsafe(start, agent)  # the watchdog emits a block in its own thread

    unsubscribe = server.runtime.events.subscribe(BlockingAgents(on_found))
    try:
        yield
    finally:
        unsubscribe()
        for task in isolating:
            task.cancel()


async def _isolate(server: WorkerServer, agent: str) -> None:
    blocked = (
        f"agent {agent!r} has blocked the loop for {LONG_BLOCK_SECONDS:g} s or more in {BLOCKING_CALLS} of its last "
        f"{CALLS_REMEMBERED} calls"
    )
    if reason := server.why_not_isolated(agent):
        logger.warning("%s; they go on to share the loop: %s", blocked, reason)
        return
    ready = await server.isolate(agent)
    if ready is None:
        logger.error("%s, and no process could be started for it: its calls go on to share the loop", blocked)
        return
    job, seconds = ready
    megabytes = _measure(getattr(job, "pid", None))
    logger.warning(
        "%s: each further one gets a process where one is ready, which takes %.1f s to start and %.0f MB; "
        'a restart forgets that, %s = "process" under [isolation] does not',
        blocked,
        seconds,
        megabytes,
        agent,
    )
    server.runtime.events.emit(
        AgentIsolated(
            agent=agent,
            distribution=find_distribution(server.runtime.catalog.get(agent)),
            start_seconds=round(seconds, 3),
            memory_mb=round(megabytes, 1),
        )
    )


def _measure(pid: int | None) -> float:
    if pid is None:
        return 0.0
    with contextlib.suppress(psutil.Error):  # it has ended already, or may not be looked at
        return own_bytes(pid) / 1e6
    return 0.0
