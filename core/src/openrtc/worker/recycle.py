"""Notices that a worker should be replaced though it still runs: its memory, or a panic of LiveKit's native library."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openrtc.errors import one_line
from openrtc.observe.process_memory import resident_bytes
from openrtc.upstream.digest import describe_changes
from openrtc.upstream.jobs import intercept_native_panics

logger = logging.getLogger("openrtc.worker")

CHECK_SECONDS = 2.0
"""Between two looks at the memory: what leaks does so over hours, and a look is one read of ``/proc``."""


class MemoryWatermark:
    """Watches the memory of this process.

    Args:
        limit_mb: The limit in MB (1e6 bytes of resident memory); 0 means that there is none.
        measure: Returns the memory in bytes.
    """

    def __init__(self, limit_mb: int, measure: Callable[[], int] = resident_bytes) -> None:
        self.limit_mb = limit_mb
        self._measure = measure
        self.used_mb = 0.0
        self.exceeded = asyncio.Event()

    @property
    def share(self) -> float:
        """How much of the limit was used at the last look; 0 without a limit."""
        return self.used_mb / self.limit_mb if self.limit_mb else 0.0

    async def watch(self) -> None:
        """Look every `CHECK_SECONDS` until the limit is exceeded; without a limit, not at all."""
        while self.limit_mb and not self.exceeded.is_set():
            self.used_mb = self._measure() / 1e6
            if self.share >= 1.0:
                self.exceeded.set()
            await asyncio.sleep(CHECK_SECONDS)


@dataclass(frozen=True, slots=True)
class RecycleReason:
    """Why a worker should be replaced.

    Args:
        cause: ``memory`` or ``panic``.
        message: The same for the log.
    """

    cause: str
    message: str


async def wait_for_recycle_reason(memory: MemoryWatermark) -> RecycleReason:
    """Wait until this worker should be replaced, and return why.

    After a panic of the native library, calls that are connected have been seen to go on; new ones may not connect.

    Args:
        memory: What watches the memory.
    """
    panic = _watch_native_panic()
    exceeded = asyncio.ensure_future(memory.exceeded.wait())
    try:
        either: set[asyncio.Future[Any]] = {panic, exceeded}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        exceeded.cancel()
    if panic.done():
        return RecycleReason("panic", f"livekit's native library has failed ({one_line(panic.result())})")
    return RecycleReason("memory", f"memory: {memory.used_mb:.0f} MB, over the limit of {memory.limit_mb} MB")


def _watch_native_panic() -> asyncio.Future[str]:
    loop = asyncio.get_running_loop()
    panic: asyncio.Future[str] = loop.create_future()

    def resolve(message: str) -> None:
        if not panic.done():  # one panic is often followed by more
            panic.set_result(message)

    def report(message: str) -> None:  # called in one of the library's threads
        loop.call_soon_threadsafe(resolve, message)

    if changes := describe_changes("panics"):
        logger.warning(
            "a panic of livekit's native library ends this worker, since OpenRTC does not know it: %s", changes
        )
    else:
        intercept_native_panics(report)
    return panic
