"""`LoadGauge`: how full the worker is, in the figure by which the LiveKit server offers jobs or does not."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

SERVER_LIMIT = 0.7
"""The LiveKit server offers no job to a worker with this load or more (``target_load`` of its agent service)."""

LAG_BUDGET = 0.25
"""Seconds by which the loop may run late, all the time, before the worker counts as full."""

LAG_SAMPLE_SECONDS = 0.5
SAMPLES = 10
"""So many samples in a row (5 s) must be late: a few calls that start together make the loop late for a second or
two."""

CALM_LAG = 0.1
CALM_SAMPLES = 6
"""A worker that was full because of its lag takes calls again when the lag has stayed below `CALM_LAG` seconds so
long (3 s)."""


class LoadGauge:
    """Reports load: just under the server's limit until every slot is taken, whatever the CPU does.

    livekit-agents' own figure is the CPU of the whole machine; and since the server stops at 0.7, a plain share of
    taken slots would stop a worker for 50 calls at 35.

    The lag of the loop counts only when it never fell below the budget for `SAMPLES` samples, so that the burst of a
    few calls starting together does not make the worker look full. Once it does, the worker is full until its loop has
    been calm for a while: it would otherwise take a call in each short pause, at the cost of the calls it has.

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
        self._overloaded = False

    def __call__(self) -> float:
        """Return the load: 0 when idle, the server's limit or more when full."""
        lag = max(self.lag / LAG_BUDGET, float(self._overloaded))
        return SERVER_LIMIT * max(self._taken() / self._max_sessions, lag, self._memory_share())

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
            due = loop.time() + LAG_SAMPLE_SECONDS
            await asyncio.sleep(LAG_SAMPLE_SECONDS)
            self.note_lag(max(0.0, loop.time() - due))

    def note_lag(self, seconds: float) -> None:
        """Take one sample of the loop's lag."""
        self._lags.append(seconds)
        if self.lag >= LAG_BUDGET:
            self._overloaded = True
        elif max(list(self._lags)[-CALM_SAMPLES:]) < CALM_LAG:
            self._overloaded = False
