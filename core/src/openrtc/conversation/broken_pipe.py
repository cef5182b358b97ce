"""A console whose reader may go away."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from rich.console import Console

READER_GONE = 141
"""Exit code when nobody reads the output any more, as a shell would say."""


def when_reader_goes(console: Console, gone: Callable[[], None]) -> None:
    """Print nothing more once nobody reads, and call ``gone``; rich itself raises `SystemExit` in whatever task prints.

    Args:
        console: A console for stdout.
        gone: Called once.
    """

    def silence() -> None:
        console.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        gone()

    console.on_broken_pipe = silence  # type: ignore[method-assign]
