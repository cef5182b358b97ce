"""`DriftWatch`: tells once of each package that is installed otherwise than this worker has loaded it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Sequence

from openrtc.catalog.loaded import LoadedAgent, LoadedPlugin
from openrtc.discovery.discover import discover
from openrtc.discovery.entries import Entry
from openrtc.discovery.installed_look import InstalledLook, InstalledState, is_whole
from openrtc.discovery.loaded_distributions import Drift
from openrtc.errors import summarize_error
from openrtc.model.names import normalise_name
from openrtc.model.status import State
from openrtc.observe.events import PluginsChanged
from openrtc.runtime.runtime import Runtime

logger = logging.getLogger("openrtc.worker")

DRIFT_LOOK_SECONDS = 10.0
"""Between two looks; a job process that is about to be started is another reason to look."""
INSTALLED_SECONDS = 2.0
"""For how long nothing may change any more: pip takes the old version away before the new one is there."""
LONGEST_INSTALL = 60.0
"""How long an installation is waited for that has not come to its end."""
RESTORED = "restored"
"""What happened to a package that is again as it was loaded."""

LONGEST_JOIN_WAIT = 5.0
"""How long packages that are to join wait until no call is live: an import takes the interpreter from calls."""

Seen = tuple[InstalledState, frozenset[tuple[str, str, int]]]
"""What is installed, and what was edited of editable installations."""

Join = Callable[[Sequence[str], InstalledState, InstalledState], bool]
"""Lets distributions join; takes their names, and what was installed before and is now; returns whether others can."""


class DriftWatch:
    """Looks at what is installed, in a thread of its own, for the time of `open`.

    Args:
        runtime: What was loaded; it is given what has changed since.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._restart = "the worker is restarted"
        self._join: Join | None = None
        self._roll: Callable[[str], None] | None = None
        self._tried: dict[str, object] = {}
        self._since = time.time_ns()
        self._look = InstalledLook()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="drift")

    @contextlib.asynccontextmanager
    async def open(
        self, *, supervised: bool = False, join: Join | None = None, roll: Callable[[str], None] | None = None
    ) -> AsyncIterator[None]:
        """Look for the time of the context.

        Args:
            supervised: Whether a supervisor can replace this worker.
            join: Lets distributions join of which nothing is used so far, if that is wanted.
            roll: Lets the supervisor replace all workers, if that is wanted; takes a text that differs where what is
                installed does.
        """
        if supervised:
            self._restart = "the worker is restarted, as SIGHUP to the supervisor does"
        if roll:
            self._restart = "the supervisor has replaced the worker, which begins now"
        self._join, self._roll = join, roll
        self._thread.start()
        try:
            yield
        finally:
            self._closed.set()
            self._wake.set()

    def look_soon(self) -> None:
        """Look now; from any thread."""
        self._wake.set()

    def _run(self) -> None:
        try:
            seen: Seen | None = None
            while not self._closed.is_set():
                now = self._see()
                if seen is None and self._is_as_loaded(now):
                    seen = now
                elif now != seen:
                    before, seen = seen, self._wait_until_settled(now)
                    entries = discover(self._runtime.config)
                    self._take(self._runtime.distributions.look(entries))
                    self._join_new(entries, self._date_back(seen) if before is None else before[0], seen[0])
                if self._roll and self._runtime.drift:
                    self._roll(str(zlib.crc32(repr(seen).encode())))
                self._wait(DRIFT_LOOK_SECONDS)
        except Exception as error:  # the calls go on, and so does the worker
            logger.error("installed packages are not looked at any more: %s", summarize_error(error))
            logger.debug("installed packages are not looked at any more", exc_info=error)

    def _wait(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _see(self) -> Seen:
        return self._look.look(self._list_entries()), self._runtime.distributions.list_edited()

    def _list_entries(self) -> list[Entry]:
        loaded = self._runtime.loaded
        return [one for one in (row.entry for row in loaded.agents) if one] + [row.entry for row in loaded.plugins]

    def _wait_until_settled(self, seen: Seen) -> Seen:
        began, before = time.monotonic(), seen
        while not self._closed.is_set() and time.monotonic() - began < LONGEST_INSTALL:
            self._closed.wait(INSTALLED_SECONDS)
            now = self._see()
            if now == before and is_whole(seen[0], now[0]):
                return now
            before = now
        return before

    def _is_as_loaded(self, seen: Seen) -> bool:
        return self._runtime.distributions.is_as_loaded(path for path in seen[0] if path.endswith("-info"))

    def _take(self, found: Sequence[Drift]) -> None:
        before = {drift.distribution: drift for drift in self._runtime.drift}
        self._runtime.note_drift(found)
        for drift in found:
            if str(drift) != str(before.pop(drift.distribution, "")):
                logger.warning("%s: %s", drift, self._say_what_follows(drift))
                self._emit(drift, drift.what)
        for drift in before.values():
            known = self._runtime.distributions.version_of(drift.distribution)
            what = f"{known} is installed again, as this worker has loaded it" if known else "is not installed any more"
            logger.info("%s %s", drift.distribution, what)
            self._emit(drift, RESTORED)

    def _join_new(self, entries: Sequence[Entry], before: InstalledState, now: InstalledState) -> None:
        """Let packages join that nothing is used of; what could not join is tried again when it is installed anew."""
        names = self._list_unused()
        state = {name: _describe_installed(name, entries, now) for name in names}
        names = [name for name in names if self._tried.get(name) != state[name]]
        if not self._join or not names:
            return
        self._tried |= {name: state[name] for name in names}
        until = time.monotonic() + LONGEST_JOIN_WAIT
        while self._runtime.live and time.monotonic() < until and not self._closed.is_set():
            self._closed.wait(0.5)
        if not self._closed.is_set() and not self._join(names, before, now):
            self._join = None

    def _list_unused(self) -> list[str]:
        """Return the packages of which this worker uses nothing, and that are there now."""
        rows: list[LoadedAgent | LoadedPlugin] = [*self._runtime.catalog.rows, *self._runtime.plugins]
        used = {normalise_name(row.distribution) for row in rows if row.state is State.READY}
        drift = (one.distribution for one in self._runtime.drift if one.what != "removed")
        return [name for name in drift if normalise_name(name) not in used]

    def _date_back(self, seen: Seen) -> InstalledState:
        """Return what was installed when this process began, as far as the times of files tell."""
        return {path: marks for path, marks in seen[0].items() if marks[0] < self._since}

    def _say_what_follows(self, drift: Drift) -> str:
        if self._join and drift.distribution in self._list_unused():
            return "it joins this worker, which goes on"
        if drift.what != "installed":
            return f"calls go on with what is loaded until {self._restart}"
        agents = f" ({', '.join(drift.agents)})" if drift.agents else ""
        return f"it is not used{agents} until {self._restart}"

    def _emit(self, drift: Drift, what: str) -> None:
        self._runtime.events.emit(
            PluginsChanged(
                distribution=drift.distribution,
                what=what,
                loaded_version=drift.loaded_version,
                installed_version=drift.loaded_version if what == RESTORED else drift.installed_version,
                agents=drift.agents,
            )
        )


def _describe_installed(name: str, entries: Sequence[Entry], state: InstalledState) -> object:
    """Return what differs where a distribution is installed anew."""
    own = [one for one in entries if normalise_name(one.distribution) == normalise_name(name)]
    return [(one, state.get(one.folder)) for one in own]
