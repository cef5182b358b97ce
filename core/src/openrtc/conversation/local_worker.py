"""Runs a worker beside whoever talks to its agents in the same process: the console, the demo, `openrtc connect`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from openrtc.dispatch.connection import KEY_FIX, describe_refusal
from openrtc.errors import OpenRTCError, one_line
from openrtc.worker.blocked_loop.watchdog import Watchdog
from openrtc.worker.direct_job import start_unregistered, stop_unregistered
from openrtc.worker.run import prepare
from openrtc.worker.server import WorkerServer

REGISTER_SECONDS = 20.0
"""For the attempts that a worker makes: the demo allows it two, and livekit-agents pauses between them."""

LEAST_BLOCK_SECONDS = 1.0
"""From here on code that blocks the loop is told of: what a first call imports may take somewhat less."""


@contextlib.asynccontextmanager
async def run_local_worker(
    server: WorkerServer, *, registered: bool = False, watched: bool = False
) -> AsyncIterator[None]:
    """Run a worker inside a ``with`` block.

    Args:
        server: The worker.
        registered: Whether it takes jobs from the LiveKit server of its settings.
        watched: Whether code that blocks the loop is told of.

    Raises:
        OpenRTCError: It cannot be registered.
    """
    start = _start_registered if registered else start_unregistered
    running = await start(server)
    runtime = server.runtime
    loop = asyncio.get_running_loop()
    watchdog = Watchdog(loop, runtime.events, runtime.live.get, least=LEAST_BLOCK_SECONDS) if watched else None
    if watchdog:
        watchdog.start()
    try:
        yield
    finally:
        if watchdog:
            watchdog.stop()
        await stop_unregistered(server, running)


async def _start_registered(server: WorkerServer) -> asyncio.Task[None]:
    await prepare(server)
    registered = asyncio.Event()
    server.registrations.on_complete(registered.set)
    running = asyncio.create_task(server.registrations.run(), name="worker")
    waiting = asyncio.create_task(registered.wait())
    await asyncio.wait({running, waiting}, timeout=REGISTER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if registered.is_set():
        return running
    waiting.cancel()
    error = running.exception() if running.done() else None
    await stop_unregistered(server, running)
    worker = server.runtime.config.worker
    if server.registrations.refused:
        raise OpenRTCError(describe_refusal(worker.url, worker.api_key), fix=KEY_FIX)
    reason = one_line(str(error)) if error else f"not registered within {REGISTER_SECONDS:.0f} s"
    fix = "is the server running, and are the key and the secret its own? without LIVEKIT_URL the demo needs no server"
    raise OpenRTCError(f"cannot register on {worker.url}: {reason}", fix=fix)
