"""`DriftWatch`: tells once of each package that is installed otherwise than this worker has loaded it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Sequence

from openrtc.discovery.discover import discover
from openrtc.discovery.entries import Entry
from openrtc.discovery.installed_look import InstalledLook, InstalledState, is_whole
from openrtc.discovery.loaded_distributions import Drift
from openrtc.errors import summarize_error
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

Seen = tuple[InstalledState, frozenset[str]]
"""What is installed, and of which editable installations the code was edited."""


class DriftWatch:
    """Looks at what is installed, in a thread of its own, for the time of `open`.

    Args:
        runtime: What was loaded; it is given what has changed since.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._restart = "the worker is restarted"
        self._look = InstalledLook()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="drift")

    @contextlib.asynccontextmanager
    async def open(self, *, supervised: bool = False) -> AsyncIterator[None]:
        """Look for the time of the context.

        Args:
            supervised: Whether a supervisor can replace this worker.
        """
        if supervised:
            self._restart = "the worker is restarted, as SIGHUP to the supervisor does"
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
                    seen = self._wait_until_settled(now)
                    self._take(self._runtime.distributions.look(discover(self._runtime.config)))
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

    def _say_what_follows(self, drift: Drift) -> str:
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
