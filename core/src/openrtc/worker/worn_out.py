"""Notices that a worker should be replaced though it still runs: its memory, or LiveKit's native library."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from openrtc.errors import one_line
from openrtc.worker.memory import MemoryWatermark
from openrtc.worker.upstream.jobs import on_native_panic


@dataclass(frozen=True, slots=True)
class WornOut:
    """Why a worker should be replaced.

    Args:
        reason: ``memory`` or ``panic``.
        said: The same for the log.
    """

    reason: str
    said: str


async def until_worn_out(memory: MemoryWatermark) -> WornOut:
    """Wait until this worker should be replaced.

    After a panic of the native library, calls that are connected have been seen to go on; new ones may not connect.

    Args:
        memory: What watches the memory.
    """
    panic = _native_panic()
    exceeded = asyncio.ensure_future(memory.exceeded.wait())
    try:
        either: set[asyncio.Future[Any]] = {panic, exceeded}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        exceeded.cancel()
    if panic.done():
        return WornOut("panic", f"livekit's native library has failed ({one_line(panic.result())})")
    return WornOut("memory", f"memory: {memory.used_mb:.0f} MB, over the limit of {memory.limit_mb} MB")


def _native_panic() -> asyncio.Future[str]:
    loop = asyncio.get_running_loop()
    panic: asyncio.Future[str] = loop.create_future()

    def settle(message: str) -> None:
        if not panic.done():
            panic.set_result(message)

    def tell(message: str) -> None:
        loop.call_soon_threadsafe(settle, message)

    on_native_panic(tell)
    return panic
