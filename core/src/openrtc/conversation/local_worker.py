"""Runs a worker beside whoever talks to its agents in the same process: the console, the demo, `openrtc connect`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from openrtc.errors import OpenRTCError, one_line
from openrtc.worker.direct_job import start_unregistered, stop_unregistered
from openrtc.worker.run import prepare
from openrtc.worker.server import WorkerServer

REGISTER_SECONDS = 20.0
"""For the attempts that a worker makes: the demo allows it two, and livekit-agents pauses between them."""


@contextlib.asynccontextmanager
async def run_local_worker(server: WorkerServer, *, registered: bool = False) -> AsyncIterator[None]:
    """Run a worker inside a ``with`` block.

    Args:
        server: The worker.
        registered: Whether it takes jobs from the LiveKit server of its settings.

    Raises:
        OpenRTCError: It cannot be registered.
    """
    start = _start_registered if registered else start_unregistered
    running = await start(server)
    try:
        yield
    finally:
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
    url = server.runtime.config.worker.url
    reason = one_line(str(error)) if error else f"not registered within {REGISTER_SECONDS:.0f} s"
    fix = "is the server running, and are the key and the secret its own? without LIVEKIT_URL the demo needs no server"
    raise OpenRTCError(f"cannot register on {url}: {reason}", fix=fix)
