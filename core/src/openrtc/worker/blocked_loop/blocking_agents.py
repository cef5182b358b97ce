"""`BlockingAgents`: notices which agents block the loop again and again, so that their calls get processes.

A worker does not remember them: after a restart each agent has the shared loop again, until it blocks that again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from openrtc.observe.events import CallRouted, Event, LoopBlocked

LONG_BLOCK_SECONDS = 0.5
"""A block that all callers hear, and that the log calls an error."""
CALLS_REMEMBERED = 10
"""Of each agent."""
BLOCKING_CALLS = 2
"""One call that blocks may be a cold cache; so many of the last `CALLS_REMEMBERED` are the agent's way."""


class BlockingAgents:
    """A sink of events that calls back once for each agent that blocks the loop again and again.

    Args:
        on_found: Called with the agent's name, in whichever thread emits the event.
    """

    def __init__(self, on_found: Callable[[str], None]) -> None:
        self._on_found = on_found
        self._lock = threading.Lock()
        self._calls: dict[str, deque[str]] = {}
        self._blocking: dict[str, set[str]] = {}
        self._found: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, CallRouted):
            with self._lock:
                self._note_call(event.agent, event.job_id)
        elif isinstance(event, LoopBlocked) and event.agent and event.seconds >= LONG_BLOCK_SECONDS:
            with self._lock:
                self._note_call(event.agent, event.job_id)
                self._blocking.setdefault(event.agent, set()).add(event.job_id)
                found = len(self._blocking[event.agent]) >= BLOCKING_CALLS and event.agent not in self._found
                if found:
                    self._found.add(event.agent)
            if found:
                self._on_found(event.agent)

    def _note_call(self, agent: str, job_id: str) -> None:
        calls = self._calls.setdefault(agent, deque(maxlen=CALLS_REMEMBERED))
        if job_id not in calls:
            calls.append(job_id)
        self._blocking.setdefault(agent, set()).intersection_update(calls)
