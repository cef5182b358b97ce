"""`Supervisor`: keeps a number of workers running on one machine, each registered with the LiveKit server by itself.

It imports no package of anybody's and no livekit, so that nothing but a signal ends it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openrtc.supervisor.nursery_link import NurseryLink
from openrtc.worker.exit_codes import REPLACE_ME, STOPPED_AT_ONCE

logger = logging.getLogger("openrtc.supervisor")

HEALTHY_SECONDS = 60.0
"""A worker that has run this long is replaced at once when it dies."""
FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0
"""Seconds before a worker that keeps dying is started again: from the second time on, doubled each time."""
MISTAKE = 2
"""Exit code of a worker that cannot run with these settings."""
KILL_AFTER = 15.0
"""Seconds that a worker has to end after a second signal, before it is killed."""

Told = Callable[[NurseryLink, dict[str, Any]], None]
OpenNursery = Callable[[Told, Callable[[NurseryLink], None]], NurseryLink]


@dataclass(eq=False)
class Worker:
    """One worker.

    Args:
        number: Its number: the lowest that was free.
        nursery: Its parent.
        began: When it was started, on the monotonic clock.
        pid: Its process id, once it is known.
        leaving: Whether it takes no more calls.
        up: Set when the LiveKit server has registered it, or it has ended.
        registered: Whether the LiveKit server has registered it.
        ended: Set when it has ended.
    """

    number: int
    nursery: NurseryLink
    began: float = field(default_factory=time.monotonic)
    pid: int = 0
    leaving: bool = False
    registered: bool = False
    up: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.began

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self.pid})"


class Supervisor:
    """Keeps workers running.

    Args:
        processes: How many workers take calls.
        open_nursery: Starts a nursery that tells what happens to its workers.
    """

    def __init__(self, processes: int, open_nursery: OpenNursery) -> None:
        self._processes = processes
        self._open_nursery = open_nursery
        self._nursery: NurseryLink | None = None
        self._nurseries: list[NurseryLink] = []
        self._workers: dict[int, Worker] = {}
        self._deaths: dict[int, int] = {}
        self._delayed = 0
        self._proven = False
        self._failed_code = 0
        self._stopping = 0
        self._codes: list[int] = []
        self._rolling: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT, or until a worker cannot run with these settings; returns the exit code."""
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watch_signals()
        opening = asyncio.create_task(self._open())
        opening.add_done_callback(self._opened_first)
        try:
            return await self._exit
        finally:
            for task in (opening, self._rolling):
                if task is not None:
                    task.cancel()
            for nursery in list(self._nurseries):
                nursery.end()

    # What comes from outside

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _stop(self) -> None:
        self._stopping += 1
        if self._stopping == 1:
            logger.info("stopping: live calls of %d workers may finish; a second signal ends them", len(self._workers))
            for worker in self._workers.values():
                self._let_leave(worker)
        else:
            logger.warning("second signal: ending the live calls of %d workers", len(self._workers))
            self._codes.append(STOPPED_AT_ONCE)
            for worker in self._workers.values():
                worker.nursery.order("stop", worker.number)
            asyncio.get_running_loop().call_later(KILL_AFTER, self._kill_all)
        self._leave_when_done()

    def _kill_all(self) -> None:
        for worker in self._workers.values():
            logger.error("%s did not end in %g s: killed", worker, KILL_AFTER)
            worker.nursery.order("kill", worker.number)

    def _hang_up(self) -> None:
        if self._stopping or self._nursery is None or (self._rolling and not self._rolling.done()):
            logger.warning("SIGHUP: the workers are being started, replaced or stopped already")
            return
        self._rolling = asyncio.create_task(self._roll())

    # Nurseries

    async def _open(self) -> NurseryLink | None:
        """Start a nursery; None when it ended instead of getting ready."""
        nursery = self._open_nursery(self._told, self._lost)
        self._nurseries.append(nursery)
        ready = await nursery.ready()
        if ready is None:
            return None
        logger.info("workers are %s (everything loaded in %.1f s)", ready["how"], ready["seconds"])
        return nursery

    def _opened_first(self, opening: asyncio.Task[NurseryLink | None]) -> None:
        if opening.cancelled() or self._exit.done():
            return
        self._nursery = opening.result()
        if self._nursery is None:
            self._finish(self._failed_code or 1)
            return
        logger.info("%d workers: SIGTERM drains them all, SIGHUP replaces one after the other", self._processes)
        self._fill()

    def _lost(self, nursery: NurseryLink) -> None:
        self._failed_code = nursery.exit_code
        self._nurseries.remove(nursery)
        for worker in [worker for worker in self._workers.values() if worker.nursery is nursery]:
            self._exited(worker, -signal.SIGKILL)
        if nursery is self._nursery and not self._stopping:
            logger.error("the workers' parent process has ended, and they with it: starting anew")
            self._nursery = None
            self._reopen(FIRST_DELAY)

    def _reopen(self, delay: float) -> None:
        async def reopen() -> None:
            self._nursery = await self._open()
            if self._nursery is not None:
                self._fill()
                return
            logger.error("it cannot be started: trying again in %g s", delay)
            await asyncio.sleep(delay)
            self._reopen(min(delay * 2, LONGEST_DELAY))

        self._rolling = asyncio.create_task(reopen())

    # Workers

    def _fill(self) -> None:
        """Start workers until as many take calls as there should be."""
        if self._nursery is None or self._stopping:
            return
        active = sum(not worker.leaving for worker in self._workers.values())
        for _ in range(self._processes - active - self._delayed):
            self._start(self._nursery)

    def _start(self, nursery: NurseryLink) -> Worker:
        number = next(number for number in range(len(self._workers) + 1) if number not in self._workers)
        worker = self._workers[number] = Worker(number, nursery)
        nursery.order("start", number)
        return worker

    def _told(self, nursery: NurseryLink, message: dict[str, Any]) -> None:
        worker = self._workers.get(message["number"])
        if worker is None or worker.nursery is not nursery:
            return
        match message["event"]:
            case "started":
                worker.pid = message["pid"]
            case "registered":
                self._registered(worker)
            case "replace":
                self._replace(worker)
            case "exited":
                self._exited(worker, message["code"])

    def _registered(self, worker: Worker) -> None:
        if not worker.registered:
            logger.info("%s is registered, %.2f s after its start", worker, worker.age)
        worker.registered = self._proven = True
        worker.up.set()

    def _replace(self, worker: Worker) -> None:
        if not worker.leaving:
            logger.info("%s takes no more calls: starting another", worker)
            worker.leaving = True
            self._fill()

    def _let_leave(self, worker: Worker) -> None:
        worker.leaving = True
        worker.nursery.order("drain", worker.number)

    def _exited(self, worker: Worker, code: int) -> None:
        del self._workers[worker.number]
        worker.ended.set()
        worker.up.set()
        if self._stopping:
            self._codes.append(code)
            self._leave_when_done()
        elif code == MISTAKE and not self._proven:
            self._finish(MISTAKE)
        elif worker.leaving or code in (0, REPLACE_ME):
            logger.info("%s has left%s", worker, _how(code))
            self._fill()
        else:
            self._restart_after(worker, code)

    def _restart_after(self, worker: Worker, code: int) -> None:
        deaths = 1 if worker.age >= HEALTHY_SECONDS else self._deaths.get(worker.number, 0) + 1
        self._deaths[worker.number] = deaths
        delay = 0.0 if deaths == 1 else min(FIRST_DELAY * 2.0 ** (deaths - 2), LONGEST_DELAY)
        logger.error("%s has died%s: a new one %s", worker, _how(code), f"in {delay:g} s" if delay else "at once")
        self._delayed += 1
        asyncio.get_running_loop().call_later(delay, self._after_delay)

    def _after_delay(self) -> None:
        self._delayed -= 1
        self._fill()

    # One after the other

    async def _roll(self) -> None:
        logger.info("SIGHUP: loading everything anew, then replacing the workers one after the other")
        old, new = self._nursery, await self._open()
        if old is None or new is None:
            logger.error("it cannot be loaded: the workers go on as they are")
            return
        self._nursery = new
        for worker in [worker for worker in self._workers.values() if worker.nursery is old]:
            if not await self._roll_one(worker, new):
                logger.error("the new worker did not register: the others go on as they are")
                self._nursery = old
                new.close()
                return
        old.close()
        logger.info("all workers are replaced")

    async def _roll_one(self, worker: Worker, nursery: NurseryLink) -> bool:
        """Replace a worker: the new one is registered before the old one drains; False when that fails."""
        if not worker.leaving:
            replacement = self._start(nursery)
            await replacement.up.wait()
            if not replacement.registered:
                return False
            self._let_leave(worker)
        await worker.ended.wait()
        return True

    # The end

    def _leave_when_done(self) -> None:
        if not self._workers:
            cut_off = STOPPED_AT_ONCE in self._codes
            self._finish(STOPPED_AT_ONCE if cut_off else int(any(self._codes)))

    def _finish(self, code: int) -> None:
        if not self._exit.done():
            self._exit.set_result(code)


def _how(code: int) -> str:
    if code >= 0:
        return f" (exit code {code})" if code else ""
    try:
        return f" ({signal.Signals(-code).name})"
    except ValueError:
        return f" (signal {-code})"
