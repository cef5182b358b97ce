"""`LoadGauge`: how full the worker is, as the LiveKit server wants to hear it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

SERVER_LIMIT = 0.7
"""The LiveKit server offers no job to a worker with this load or more (``target_load`` of its agent service)."""

LAG_BUDGET = 0.25
"""Seconds by which the loop may run late, all the time, before the worker counts as full."""

SAMPLE_SECONDS = 0.5
SAMPLES = 10


class LoadGauge:
    """Reports load: just under the server's limit until every slot is taken, whatever the CPU does.

    The lag of the loop counts only when it never fell below the budget for `SAMPLES` samples, so that the burst of a
    few calls starting together does not make the worker look full.

    Args:
        max_sessions: How many sessions run at once.
        taken: Returns how many slots are taken.
        memory_share: Returns how much of the memory limit is used.
    """

    def __init__(
        self, max_sessions: int, taken: Callable[[], int], memory_share: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._max_sessions = max_sessions
        self._taken = taken
        self._memory_share = memory_share
        self._lags: deque[float] = deque(maxlen=SAMPLES)

    def __call__(self) -> float:
        """Return the load: 0 when idle, the server's limit or more when full."""
        return SERVER_LIMIT * max(self._taken() / self._max_sessions, self.lag / LAG_BUDGET, self._memory_share())

    @property
    def lag(self) -> float:
        """Seconds by which the loop ran late at least, during the last samples; 0 until there are enough."""
        return min(self._lags) if len(self._lags) == SAMPLES else 0.0

    @property
    def worst_lag(self) -> float:
        """Seconds by which the loop ran late at most, during the last samples."""
        return max(self._lags, default=0.0)

    async def watch(self) -> None:
        """Measure the loop's lag until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + SAMPLE_SECONDS
            await asyncio.sleep(SAMPLE_SECONDS)
            self._lags.append(max(0.0, loop.time() - due))
