"""`ProcessStarts`: an agent whose job processes fail to start again and again takes no calls until one does start.

A process may fail as a whole, such as by a crash at import, or come up without some agents, such as one whose package
was upgraded after the worker has loaded it. livekit-agents starts the next one at once, again and again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from openrtc.errors import one_line
from openrtc.model.status import State, Status
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import AgentBroken, AgentRecovered

logger = logging.getLogger("openrtc.worker")

MOST_IN_A_ROW = 3
"""So many failed starts in a row break an agent: one may fail by chance, as where memory is short for a moment."""
FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 300.0
"""After how long another start is tried; each time after twice as long. A start takes seconds of a processor."""

TRIED_SECONDS = 30.0
"""After a start was tried, so long is waited for it before a call is let in: livekit-agents before 1.8.9 starts another
process in the place of one that has ended only when a call wants it."""

_FAILED = "error initializing process"
_PREFIX = "process initialization failed: "
"""What livekit-agents says of a process that has failed, and what its error begins with."""

_errors: dict[int, BaseException] = {}
"""By process, why it could not be started: livekit-agents only logs that."""


class BrokenAgent(NamedTuple):
    """An agent that takes no calls since its job processes do not start.

    Args:
        reason: Why, in one line.
        since: When that was found, on the monotonic clock.
    """

    reason: str
    since: float


class ProcessStarts:
    """Counts starts of job processes that fail, one after the other.

    Args:
        events: Where it emits which agents are broken, and which are not any more.
        list_agents: Returns the agents whose calls get processes, each with its distribution.
        is_newer: Returns whether another version of a distribution is installed than the worker has loaded, so that no
            further process comes up with its agents.
    """

    def __init__(
        self,
        events: EventStream,
        list_agents: Callable[[], Mapping[str, str]],
        is_newer: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._events = events
        self._list_agents = list_agents
        self._is_newer = is_newer
        self._hold: Callable[[str], None] = lambda _: None
        self._retry: Callable[[], None] = lambda: None
        self._in_a_row = 0
        self._held = False
        self._probing = False
        self._failed: Counter[str] = Counter()
        self._broken: Mapping[str, BrokenAgent] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._delay = FIRST_RETRY_SECONDS
        logging.getLogger("livekit.agents").addFilter(_note_error)  # logging adds the same one once

    def follow(self, hold: Callable[[str], None], retry: Callable[[], None]) -> None:
        """Let a pool do what follows of what is noted.

        Args:
            hold: Called with why no process shall be started for now, empty where they shall.
            retry: Lets one process be started all the same.
        """
        self._hold, self._retry = hold, retry

    @property
    def statuses(self) -> dict[str, Status]:
        """Where the broken agents stand, by their names; may be read in any thread."""
        fix = "see the worker's log; it tries again by itself"
        return {name: Status(State.BROKEN, one.reason, fix) for name, one in self._broken.items()}

    def why_broken(self, agents: Collection[str]) -> str | None:
        """Return why agents take no new call, or None where they do."""
        name = next((name for name in sorted(agents) if name in self._broken), None)
        return f"agent {name!r} is broken: {self._broken[name].reason}" if name else None

    def note_failed(self, pid: int | None, ending: str) -> None:
        """Note that a process has ended before it was ready.

        Args:
            pid: The process; None for one that never was.
            ending: How it has ended, where nothing else is known.
        """
        error = _errors.pop(pid or 0, None)
        reason = str(error) if error is not None and str(error).startswith(_PREFIX) else ""
        reason = one_line(reason.removeprefix(_PREFIX)) or ending
        self._in_a_row += 1
        logger.error("a job process could not be started: %s", reason)
        self._note(dict.fromkeys(self._list_agents(), reason), reason if self._in_a_row >= MOST_IN_A_ROW else "")

    def note_started(self, unusable: Mapping[str, str]) -> None:
        """Note that a process has started.

        Args:
            unusable: The agents that cannot be used in it, with the reasons.
        """
        self._in_a_row = 0
        self._note(unusable, "")

    def close(self) -> None:
        """Try no more."""
        if self._timer:
            self._timer.cancel()

    def may_serve(self, unusable: Collection[str]) -> bool:
        """Whether a process may have a call in which some agents cannot be used: those that get none anyway."""
        return all(name in self._broken for name in unusable if name in self._list_agents())

    def _note(self, unusable: Mapping[str, str], held: str) -> None:
        for name, distribution in self._list_agents().items():
            if name in unusable:
                self._note_unusable(name, distribution, unusable[name])
            else:
                self._note_usable(name, distribution)
        for name in [name for name in self._broken if name not in self._list_agents()]:
            self._note_usable(name, "")
        if self._probing and self._timer:
            self._timer.cancel()
            self._timer, self._probing = None, False
        self._held = bool(held)
        self._hold(held)
        if self._broken or held:
            self._plan()
        elif self._timer or self._delay > FIRST_RETRY_SECONDS:
            self.close()
            self._timer, self._delay = None, FIRST_RETRY_SECONDS

    def _note_unusable(self, name: str, distribution: str, reason: str) -> None:
        self._failed[name] += 1
        before = self._broken.get(name)
        if before is None and self._failed[name] < MOST_IN_A_ROW and not self._is_newer(distribution):
            return
        self._broken = {**self._broken, name: BrokenAgent(reason, before.since if before else time.monotonic())}
        if before is None or before.reason != reason:
            logger.error("agent %r is broken: %s; its calls are rejected until a process starts with it", name, reason)
            self._events.emit(AgentBroken(agent=name, distribution=distribution, reason=reason))

    def _note_usable(self, name: str, distribution: str) -> None:
        self._failed.pop(name, None)
        if before := self._broken.get(name):
            self._broken = {other: one for other, one in self._broken.items() if other != name}
            seconds = time.monotonic() - before.since
            logger.warning("agent %r takes calls again after %.0f s", name, seconds)
            self._events.emit(AgentRecovered(agent=name, distribution=distribution, seconds=round(seconds, 3)))

    def _plan(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._try_again)
            self._delay = min(2 * self._delay, LONGEST_RETRY_SECONDS)

    def _try_again(self) -> None:
        self._timer = None
        agents = self._list_agents()
        if not self._held and all(self._is_newer(agents.get(name, "")) for name in self._broken):
            self._delay = FIRST_RETRY_SECONDS  # looking costs nothing, and no process would come up otherwise
            self._plan()
        else:
            self._retry()
            if not self._held:
                self._probing = True
                self._timer = asyncio.get_running_loop().call_later(TRIED_SECONDS, self._let_in)

    def _let_in(self) -> None:
        """Let the next call find out whether a process starts with its agent."""
        self._timer, self._probing = None, False
        for name in list(self._broken):
            self._note_usable(name, self._list_agents().get(name, ""))
            self._failed[name] = MOST_IN_A_ROW - 1


def _note_error(record: logging.LogRecord) -> bool:
    """Keep why a process could not be started, which is told with the agents that it was for, in one line."""
    if record.getMessage() != _FAILED or not record.exc_info:
        return True
    if error := record.exc_info[1]:
        _errors[getattr(record, "pid", None) or 0] = error
    return False
