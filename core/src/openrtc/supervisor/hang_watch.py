"""The clock of a fork server, which has one thread when it forks: the supervisor looks at its watch in its place.

The fork server only says which package's code begins and ends (`ReportingClock`). The supervisor tells what takes long,
and ends a fork server in which something hangs (`HangWatch`). Where that is, the fork server writes at a signal, by
`faulthandler`: whatever runs there, also code that holds the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import json
import logging
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from openrtc.model.hung_package import HungPackage
from openrtc.plugins.fault import locate_in_dump
from openrtc.plugins.guard.clock import FIRST_TOLD_SECONDS, PackageCode

logger = logging.getLogger("openrtc.clock")

RUNS = "runs"
"""The event of code that begins, or, without any, has ended."""

QUIET_SECONDS, LONGEST_SECONDS = 0.1, 2.0
"""After so long without another line the stack is whole; and how long it is waited for, on a busy machine."""


class ReportingClock:
    """In the fork server: a clock without a thread, which reports to the supervisor.

    Args:
        connection: To the supervisor. Between the reports, stacks are written to it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        # SIGURG: who has no handler for it ignores it, so that one that comes late harms nobody.
        faulthandler.register(signal.SIGURG, file=connection.fileno(), all_threads=True, chain=False)

    def begin(self, code: PackageCode, limit: float) -> None:
        """Report that code begins."""
        self._report(code=asdict(code), limit=limit)

    def end(self) -> None:
        """Report that it has ended."""
        self._report(code=None)

    def describe(self) -> str | None:
        """Return nothing: the supervisor tells it."""
        return None

    def close(self) -> None:
        """Write no stacks any more."""
        faulthandler.unregister(signal.SIGURG)

    def _report(self, **values: Any) -> None:
        with contextlib.suppress(OSError):  # a supervisor that is gone is noticed where orders are read
            self._connection.sendall(json.dumps({"event": RUNS, **values}).encode() + b"\n")


class HangWatch:
    """In the supervisor: watches the code that a fork server says it runs.

    Args:
        ask: Lets the fork server write its stack, for `note_stack`.
        end: Ends the fork server.
    """

    def __init__(self, ask: Callable[[], object], end: Callable[[], object]) -> None:
        self._ask = ask
        self._end = end
        self._stack: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._following: asyncio.Task[None] | None = None
        self.hung: HungPackage | None = None
        """Whose code has been given up, if any's has."""
        self.told = ""
        """What was told last of the code that runs."""
        self.running: PackageCode | None = None
        """The code that runs; that which ran last, where the fork server has ended in it."""

    def note(self, code: dict[str, str] | None, limit: float = 0.0) -> None:
        """Note what the fork server runs.

        Args:
            code: The fields of a `PackageCode`; None when it has ended.
            limit: How long it may take, 0 for as long as it likes.
        """
        self.close()
        self.told = ""
        self.running = PackageCode(**code) if code else None
        if self.running is None:
            return
        wait = min(FIRST_TOLD_SECONDS, limit or FIRST_TOLD_SECONDS)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(wait, self._start_following, self.running, limit, time.monotonic(), time.time())

    def note_stack(self, line: str) -> None:
        """Note a line of the fork server's stack."""
        self._stack.append(line)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._following is not None:
            self._following.cancel()

    def _start_following(self, *given: Any) -> None:
        self._following = asyncio.get_running_loop().create_task(self._follow(*given), name="hang-watch")

    async def _follow(self, code: PackageCode, limit: float, began: float, since: float) -> None:
        tell_at = FIRST_TOLD_SECONDS
        while True:
            taken = time.monotonic() - began
            place = await self._find_place(code)
            if limit and taken >= limit:
                self.hung = code.give_up(limit, place)
                self._end()
                return
            if taken >= tell_at:
                self.told = code.describe(taken, since, place)
                logger.warning("%s", self.told)
                tell_at *= 2
            await asyncio.sleep(max(0.0, began + min(tell_at, limit or tell_at) - time.monotonic()))

    async def _find_place(self, code: PackageCode) -> str | None:
        self._stack.clear()
        self._ask()
        until = time.monotonic() + LONGEST_SECONDS
        before = 0
        while time.monotonic() < until:
            await asyncio.sleep(QUIET_SECONDS)
            if before == len(self._stack) > 0:
                break
            before = len(self._stack)
        return locate_in_dump("\n".join(self._stack), code.module)
