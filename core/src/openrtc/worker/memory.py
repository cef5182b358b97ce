"""`MemoryWatermark`: notices when the worker has grown over its limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psutil

CHECK_SECONDS = 2.0


def resident_mb() -> float:
    """Return the memory of this process in MB (resident set size)."""
    return float(psutil.Process().memory_info().rss) / 1e6


class MemoryWatermark:
    """Watches the memory of this process.

    Args:
        limit_mb: The limit in MB; 0 means that there is none.
        measure: Returns the memory in MB.
    """

    def __init__(self, limit_mb: int, measure: Callable[[], float] = resident_mb) -> None:
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
            self.used_mb = self._measure()
            if self.share >= 1.0:
                self.exceeded.set()
            await asyncio.sleep(CHECK_SECONDS)
