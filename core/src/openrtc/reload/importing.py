"""Imports in a thread of its own, which holds up no call and may never come back."""

from __future__ import annotations

import ctypes
import logging
import sys
import threading
from collections.abc import Callable, Sequence

from openrtc.model.status import State, Status
from openrtc.plugins.fault import locate_frame
from openrtc.reload.engine import Broken, Engine, Staged

logger = logging.getLogger("openrtc.reload")

BREAK_OFF_SECONDS = 1.0
"""How long an import has to end that is broken off."""


def import_within(
    engine: Engine, work: Callable[[], Staged | None], seconds: float, distributions: Sequence[str], then: str
) -> Staged | None:
    """Return what ``work`` has staged.

    Args:
        engine: Whose work it is.
        work: Imports, in a thread of its own.
        seconds: How long it may take; 0 for no limit.
        distributions: Whose code it is, as far as that is known.
        then: What is no more done where it does not end, as the end of a line.

    Raises:
        Broken: The code cannot be used, or its import was broken off.
        Stuck: The import goes on for ever, so that nothing else can be imported; that has been logged.
    """
    importing = ImportThread(work)
    if importing.wait(seconds or None):
        return importing.take()
    place = importing.locate()
    importing.interrupt()
    reason = f"the import has not ended within {seconds:g} s"
    if not importing.wait(BREAK_OFF_SECONDS):
        engine.give_up()
        importing.abandon()
        logger.error("%s, now at %s: the calls go on with the code that they have; %s: restart", reason, place, then)
        raise Stuck
    importing.abandon()  # it may just have ended well
    raise Broken(Status(State.BROKEN, reason, None, place), importing.distributions or distributions)


class Stuck(Exception):
    """An import never ends."""


class _GaveUp(BaseException):
    """Raised within an import that takes too long."""


class ImportThread:
    """An import in a thread of its own.

    Args:
        work: Does it.
    """

    def __init__(self, work: Callable[[], Staged | None]) -> None:
        self._work = work
        self._done = threading.Event()
        self._result: Staged | None = None
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="reload-import")
        self._thread.start()

    def wait(self, seconds: float | None) -> bool:
        """Whether it has ended, within some seconds."""
        return self._done.wait(seconds)

    def take(self) -> Staged | None:
        """Return what it gave.

        Raises:
            Broken: The new code cannot be used.
        """
        if self._error is not None:
            raise self._error
        return self._result

    @property
    def distributions(self) -> tuple[str, ...]:
        """Whose code has failed, if it has."""
        return self._error.distributions if isinstance(self._error, Broken) else ()

    def abandon(self) -> None:
        """Put back what it gives, now or whenever it ends after all."""
        with self._lock:
            self._abandoned = True
            if self._result:
                self._result.put_back()

    def locate(self) -> str | None:
        """Return where it is."""
        return locate_frame(sys._current_frames().get(self._thread.ident or 0), "")

    def interrupt(self) -> None:
        """Break it off, unless it is in compiled code."""
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident or 0), ctypes.py_object(_GaveUp))

    def _run(self) -> None:
        try:
            result = self._work()
            with self._lock:
                self._result = result
                if result and self._abandoned:
                    result.put_back()
        except BaseException as error:  # `take` raises it
            self._error = error
        self._done.set()
