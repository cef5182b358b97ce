"""`PromptStatus`: lets the LiveKit server know at once that a full worker has a free slot, or that it has none left.

livekit-agents says so every 2.5 s. Until then the server thinks that the worker is full, and a caller who comes to an
automatic or token dispatch meanwhile gets no agent, then or later.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable

from openrtc.errors import one_line, summarize_error
from openrtc.observe.events import Event

logger = logging.getLogger("openrtc.worker")


class PromptStatus:
    """A sink that looks after each event whether the worker has become full, or free.

    Args:
        is_full: Whether all slots are taken.
        send: Tells the LiveKit server how full the worker is.
    """

    def __init__(self, is_full: Callable[[], bool], send: Callable[[], Awaitable[None]]) -> None:
        self._is_full = is_full
        self._send = send
        self._lock = threading.Lock()
        self._full = False
        self._changed: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, event: Event) -> None:
        """Look whether that has changed; called from any thread."""
        with self._lock:
            full = self._is_full()
            changed, self._full = full != self._full, full
        if changed and self._loop and self._changed:
            self._loop.call_soon_threadsafe(self._changed.set)

    async def watch(self) -> None:
        """Send whenever that has changed, until cancelled; once where it changes again meanwhile."""
        self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._send()
            except Exception as error:  # whatever it is: the server is told within 2.5 s all the same
                logger.debug("the LiveKit server is not told at once: %s", one_line(summarize_error(error)))
