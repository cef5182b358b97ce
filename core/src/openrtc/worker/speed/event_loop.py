"""Which event loop the calls of a worker share."""

from __future__ import annotations

import asyncio
from collections.abc import Collection


def new_event_loop(speedups: Collection[str]) -> asyncio.AbstractEventLoop:
    """Return a new loop: uvloop's where that is chosen and installed, else asyncio's own.

    Args:
        speedups: Some of `openrtc.config.SPEEDUPS`.
    """
    if "uvloop" in speedups:
        try:
            import uvloop
        except ImportError:
            return asyncio.new_event_loop()
        return uvloop.new_event_loop()
    return asyncio.new_event_loop()
