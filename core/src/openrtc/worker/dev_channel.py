"""The connection to ``lk agent dev``, which starts a worker anew when a file has changed and carries its calls over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from openrtc.upstream.digest import describe_changes
from openrtc.worker.server import WorkerServer

logger = logging.getLogger("openrtc.worker")


@contextlib.asynccontextmanager
async def open_dev_channel(server: WorkerServer, address: tuple[str, int] | None) -> AsyncIterator[None]:
    """Connect to ``lk`` as soon as the worker is registered, for the time of the context.

    Args:
        server: The worker.
        address: Where ``lk`` listens; None for nowhere.
    """
    if address is None:
        yield
        return
    if changes := describe_changes("lk"):
        logger.warning("no call outlives a reload, since OpenRTC does not know this livekit-agents: %s", changes)
        yield
        return
    from openrtc.upstream.lk_cli import open_reload_channel  # it fails with what OpenRTC does not know

    registered, over = asyncio.Event(), asyncio.Event()
    server.registrations.on_complete(registered.set)

    async def connect() -> None:
        await registered.wait()  # only then each registration has its pool, which takes the calls
        async with open_reload_channel(server.registrations.servers, address):
            await over.wait()

    connecting = asyncio.create_task(connect(), name="dev-channel")
    try:
        yield
    finally:
        over.set()
        if not registered.is_set():
            connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
