"""Ctrl-C, SIGTERM, a terminal that closes, an output that nobody reads: each calls back and has an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from rich.console import Console

from openrtc.posix import call_on_signals

READER_GONE = 128 + 13
"""Exit code when nobody reads the output any more, as a shell would say it of SIGPIPE."""


class Interrupts:
    """Calls back at every SIGINT, SIGTERM and SIGHUP of the running loop.

    Args:
        on_signal: Called at every signal.
    """

    def __init__(self, on_signal: Callable[[], None]) -> None:
        self.count = 0
        self._first: signal.Signals | None = None
        self._on_signal = on_signal
        call_on_signals(self._receive, "SIGINT", "SIGTERM", "SIGHUP")

    @property
    def exit_code(self) -> int:
        """128 and the first signal's number, as a shell would say; 0 without a signal."""
        return 128 + self._first if self._first else 0

    def _receive(self, number: signal.Signals) -> None:
        self._first = self._first or number
        self.count += 2 if number.name == "SIGHUP" else 1  # nobody is there any more who would ask twice
        self._on_signal()


def handle_broken_pipe(console: Console, on_broken: Callable[[], None]) -> None:
    """Once nobody reads, print nothing more and call ``on_broken``, instead of raising `SystemExit` as rich does.

    Args:
        console: A console for stdout.
        on_broken: Called once.
    """

    def silence() -> None:
        console.quiet = True
        # Python flushes stdout at exit: what is left in its buffer would raise BrokenPipeError again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        on_broken()

    # rich means this method to be overridden in a subclass; the commands share one console, which is made elsewhere.
    console.on_broken_pipe = silence  # type: ignore[method-assign]
