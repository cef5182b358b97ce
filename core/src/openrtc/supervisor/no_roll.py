"""`NoRoll`: which installation is not tried again, since a roll-out to it has failed."""

from __future__ import annotations

import time
from collections.abc import Callable

ROLL_AGAIN_SECONDS = 60.0
"""After so long a roll-out is tried again that has failed though nothing would be lost: the LiveKit server was away."""


class NoRoll:
    """Remembers the last installation that workers could not be replaced with.

    An operator's SIGHUP is not asked: it tries in any case.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: str | None = None
        self._until = 0.0

    def allows(self, installed: str) -> bool:
        """Whether a roll-out may be tried with what is installed."""
        return installed != self._failed or self._clock() >= self._until

    def note(self, installed: str, *, for_good: bool) -> None:
        """Note that one has failed.

        Args:
            installed: What is installed, as a worker says it; empty where nobody has.
            for_good: Whether it would fail again, as long as nothing else is installed.
        """
        self._failed = installed
        self._until = float("inf") if for_good else self._clock() + ROLL_AGAIN_SECONDS

    def forget(self) -> None:
        """Note that one has succeeded."""
        self._failed = None
