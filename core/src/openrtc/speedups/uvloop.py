"""Speedup `uvloop`: the calls of a worker share uvloop's event loop where it is installed."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Collection

NAME_THREADS = "64"
"""How many host names uvloop looks up at once for libraries that connect through it, for all calls together: of its own
4, one agent could take all for as long as a name server does not answer. They cost 1 MB, once there is a name."""


def new_event_loop(speedups: Collection[str]) -> asyncio.AbstractEventLoop:
    """Return a new loop: uvloop's where that is chosen and installed, else asyncio's own.

    Args:
        speedups: Some of `openrtc.speedups.registry.SPEEDUPS`.
    """
    if "uvloop" in speedups:
        with contextlib.suppress(ImportError):  # an extra, and not for Windows: the default "all" works without it
            import uvloop

            os.environ.setdefault("UV_THREADPOOL_SIZE", NAME_THREADS)
            return uvloop.new_event_loop()
    return asyncio.new_event_loop()
