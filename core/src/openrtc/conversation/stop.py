"""`Stop`: Ctrl-C and SIGTERM, as an event of the loop and as an exit code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


class Stop:
    """Waits for the first SIGINT or SIGTERM.

    Args:
        stopped: Called at every signal.
    """

    def __init__(self, stopped: Callable[[], None]) -> None:
        self.signal: signal.Signals | None = None
        self.times = 0
        self._stopped = stopped
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._received, number)

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as a shell would say; 0 without a signal."""
        return 128 + self.signal if self.signal else 0

    def _received(self, number: signal.Signals) -> None:
        self.signal = self.signal or number
        self.times += 1
        self._stopped()
