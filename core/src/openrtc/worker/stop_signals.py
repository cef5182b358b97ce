"""`StopSignals`: what lets a worker stop: signals, or a supervisor's orders."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from openrtc.observe.health.server import HealthServer
from openrtc.posix import is_ignored
from openrtc.worker.control_channel import REPLACE, ControlChannel
from openrtc.worker.signal_guard import SignalGuard

logger = logging.getLogger("openrtc.worker")

HANG_UP = "SIGHUP"


class StopSignals:
    """The first and the second SIGTERM or SIGINT, a SIGHUP, or what a supervisor orders instead.

    With a supervisor, signals to this process only drain it, however many come: a service manager that signals all
    processes of a group must not be taken for somebody who signals twice. Only the supervisor's order ends live calls.
    Once the supervisor is gone, the second signal does.

    Args:
        channel: To the supervisor, if there is one.
        patient: Whether live calls may finish after the first signal.
        health: Answers on the health port, which may be handed on to another worker.
    """

    def __init__(
        self, channel: ControlChannel | None = None, *, patient: bool = True, health: HealthServer | None = None
    ) -> None:
        self.patient = patient
        self.replace = False
        """Whether another worker is wanted in this one's place: it stops for a SIGHUP alone."""
        self.orphaned = False
        """Whether it stops since its supervisor is gone."""
        loop = asyncio.get_running_loop()
        self.first: asyncio.Future[None] = loop.create_future()
        self.second: asyncio.Future[None] = loop.create_future()
        self._health = health
        self._left: Future[None] | None = None
        self._signalled = False
        names = ["SIGTERM", "SIGINT"]
        if channel or not is_ignored(HANG_UP):  # as nohup lets it be, so that no terminal ends the worker
            names.append(HANG_UP)
        self._guard = SignalGuard(self._note_order if channel else self._note_signal, *names)
        self.note: Callable[[dict[str, Any]], None] = lambda _: None
        """Called with what the supervisor lets this worker know."""
        if channel:
            channel.follow_orders(
                self._drain_when_left,
                self._stop_at_once,
                leave=self._leave,
                note=lambda noted: self.note(noted),
                gone=self._note_gone,
            )
            self.first.add_done_callback(lambda _: channel.report(REPLACE))

    def close(self) -> None:
        """Note signals no more."""
        self._guard.close()

    def drain(self) -> None:
        """Let the worker drain, as at the first signal; a later call does nothing."""
        if not self.first.done():
            self.first.set_result(None)

    def _stop_at_once(self) -> None:
        for future in (self.first, self.second):
            if not future.done():
                future.set_result(None)

    def _note_signal(self, number: signal.Signals) -> None:
        if not self.patient:
            self._stop_at_once()
        elif number.name == HANG_UP:
            if not self.first.done():
                logger.warning("SIGHUP: this worker drains, and exits with code 75 to be replaced")
                self.replace = True
                self.drain()
        elif self.first.done() and (self._signalled or not (self.replace or self.orphaned)):
            self._stop_at_once()
        else:
            self._signalled, self.replace = True, False
            self.drain()

    def _note_order(self, number: signal.Signals) -> None:
        if self.orphaned:
            self._note_signal(number)
        elif number.name != HANG_UP:  # which the supervisor acts on, where all processes are sent it
            self.drain()

    def _note_gone(self) -> None:
        self.orphaned = True
        self.drain()

    def _leave(self) -> None:
        if self._health is not None and self._left is None:
            self._left = self._health.leave()

    def _drain_when_left(self) -> None:
        """Drain, but answer before that whoever has asked whether this worker is ready: another one is in its place."""
        if self._left is None or self._left.done():
            self.drain()
            return
        loop = asyncio.get_running_loop()

        def drain(_: Future[None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self.drain)

        self._left.add_done_callback(drain)
