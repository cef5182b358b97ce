"""`EventStream`: hands every event to every sink."""

from __future__ import annotations

import logging
from collections.abc import Callable

from openrtc.errors import one_line
from openrtc.observe.events import Event

logger = logging.getLogger("openrtc.observe")

Sink = Callable[[Event], None]


class EventStream:
    """The events of one process. A sink is called at once, in the thread of whoever emits, and must not block."""

    def __init__(self) -> None:
        self._sinks: tuple[Sink, ...] = ()  # replaced, never changed: another thread may be reading it

    def subscribe(self, sink: Sink) -> Callable[[], None]:
        """Hand every event from now on to ``sink``; return a function that ends this."""
        self._sinks = (*self._sinks, sink)
        return lambda: self._remove(sink)

    def emit(self, event: Event) -> None:
        """Hand ``event`` to every sink; one that raises is removed and logged, the others go on."""
        for sink in self._sinks:
            try:
                sink(event)
            except Exception as error:  # a full disk must not end the call that happens to emit
                self._remove(sink)
                logger.error("an event sink is switched off: %s", one_line(f"{type(error).__name__}: {error}"))
                logger.debug("event sink", exc_info=error)

    def _remove(self, sink: Sink) -> None:
        self._sinks = tuple(kept for kept in self._sinks if kept is not sink)
