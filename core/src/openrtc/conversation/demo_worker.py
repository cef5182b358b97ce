"""Runs the demo's worker: registered on a LiveKit server, or without one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from openrtc.errors import OpenRTCError, one_line
from openrtc.worker.direct_job import start_unregistered, stop_unregistered
from openrtc.worker.run import prepare
from openrtc.worker.runtime import Runtime
from openrtc.worker.server import WorkerServer

REGISTER_SECONDS = 20.0


@contextlib.asynccontextmanager
async def running_worker(runtime: Runtime, server: WorkerServer, *, registered: bool) -> AsyncIterator[None]:
    """Run the worker inside a ``with`` block.

    Args:
        runtime: What the calls share.
        server: The worker.
        registered: Whether it takes jobs from the LiveKit server of its settings.

    Raises:
        OpenRTCError: It cannot be registered.
    """
    start = _start_registered if registered else start_unregistered
    running = await start(runtime, server)
    try:
        yield
    finally:
        server.hurry()
        await stop_unregistered(runtime, server, running)


async def _start_registered(runtime: Runtime, server: WorkerServer) -> asyncio.Task[None]:
    await prepare(runtime, server)
    registered = asyncio.Event()
    server.registrations.when_complete(registered.set)
    running = asyncio.create_task(server.registrations.run(), name="worker")
    waiting = asyncio.create_task(registered.wait())
    await asyncio.wait({running, waiting}, timeout=REGISTER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if registered.is_set():
        return running
    waiting.cancel()
    error = running.exception() if running.done() else None
    await stop_unregistered(runtime, server, running)
    url = runtime.config.worker.url
    said = one_line(str(error)) if error else f"not registered within {REGISTER_SECONDS:.0f} s"
    fix = "is the server running, and are the key and the secret its own? without LIVEKIT_URL the demo needs no server"
    raise OpenRTCError(f"cannot register on {url}: {said}", fix=fix)
