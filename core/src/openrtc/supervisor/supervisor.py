"""`Supervisor`: keeps a number of workers running on one machine, each registered with the LiveKit server by itself.

It imports no package of anybody's and no livekit, so that nothing but a signal ends it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openrtc.errors import OpenRTCError
from openrtc.model.hung_package import HungPackage, put_hung
from openrtc.posix import call_on_signals, name_signal, why_no_supervisor
from openrtc.supervisor.fork_server import NO_DOORS
from openrtc.supervisor.fork_server_client import ForkServerClient
from openrtc.supervisor.no_roll import NoRoll
from openrtc.supervisor.starting_server import StartingServer
from openrtc.worker import control_channel
from openrtc.worker.offer import Offer, describe_differences, describe_versions
from openrtc.worker.process_exit import CANNOT_RUN, REPLACE_ME, STOPPED_AT_ONCE

logger = logging.getLogger("openrtc.supervisor")

HEALTHY_SECONDS = 60.0
"""A worker that has run this long is replaced at once when it dies: it is no crash at every start."""
FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0
"""Seconds before a worker that keeps dying is started again: from the second time on, doubled each time."""
KILL_AFTER = 15.0
"""Seconds that a worker has to end after a second signal, before it is killed; by itself it takes a few."""


@dataclass(eq=False)
class SupervisedWorker:
    """A worker as the supervisor sees it.

    Args:
        number: Its number: the lowest that was free.
        parent: Its fork server.
        slot: The number of its health port, 0 for the first one.
        answers: Whether it answers there.
        replaces: The worker that drains when this one is registered, of a roll-out.
        offer: What of it is ready.
        lost: What it lacks of what the one has that it should replace, and what that means in a line each.
        code: Its exit code.
        began: When it was started, on the monotonic clock.
        pid: Its process id, once it is known.
        leaving: Whether it takes no more calls.
        up: Set when the LiveKit server has registered it, or it has ended.
        registered: Whether the LiveKit server has registered it.
        ended: Set when it has ended.
    """

    number: int
    parent: ForkServerClient
    slot: int = 0
    answers: bool = False
    replaces: SupervisedWorker | None = None
    offer: Offer = field(default_factory=Offer)
    lost: dict[str, str] = field(default_factory=dict)
    code: int | None = None
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
        environ: The environment that this process was started with: the workers read their settings themselves, so
            that a changed file counts after a rolling restart.
        host: Where the workers answer HTTP.
        port: The first worker's port there; 0 for free ones.
    """

    def __init__(self, processes: int, environ: Mapping[str, str], host: str = "", port: int = 0) -> None:
        self._processes = processes
        self._environ = environ
        self._fork_server: ForkServerClient | None = None
        self._fork_servers: list[ForkServerClient] = []
        self._starting = StartingServer(host, port, processes, self._describe_hang)
        self._hung: list[HungPackage] = []  # left out until the next rolling restart
        self._workers: dict[int, SupervisedWorker] = {}
        self._deaths: dict[int, int] = {}  # by the worker's number, one soon after the other
        self._delayed = 0  # workers that will be started after their delay
        self._proven = False  # whether any worker has ever registered
        self._failed_code = 0
        self._stopping = 0  # signals that asked to stop
        self._codes: list[int] = []
        self._rolling: asyncio.Task[None] | None = None
        self._again = False  # whether they are replaced once more
        self._no_roll = NoRoll()
        self._told: tuple[Offer, Offer] | None = None

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT, or until a worker cannot run with these settings; returns the exit code."""
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watch_signals()
        self._starting.open()
        opening = asyncio.create_task(self._open_fork_server())
        opening.add_done_callback(self._start_first_workers)
        try:
            return await self._exit
        finally:
            # A fork server that is opened or replaced meanwhile is among those that are stopped.
            for task in (opening, self._rolling):
                if task is not None:
                    task.cancel()
            for worker in self._workers.values():  # where the settings are wrong; else all have ended
                worker.parent.order("kill", worker.number)
            for server in list(self._fork_servers):
                server.stop()
            self._starting.close()

    # What comes from outside

    def _watch_signals(self) -> None:
        call_on_signals(lambda _: self._stop(), "SIGTERM", "SIGINT")
        call_on_signals(lambda _: self._reload(), "SIGHUP")

    def _stop(self) -> None:
        self._stopping += 1
        self._starting.reason = "draining"
        if self._stopping == 1:
            logger.info("stopping: live calls of %d workers may finish; a second signal ends them", len(self._workers))
            for worker in self._workers.values():
                self._drain(worker)
        else:
            logger.warning("second signal: ending the live calls of %d workers", len(self._workers))
            self._codes.append(STOPPED_AT_ONCE)
            for worker in self._workers.values():
                worker.parent.order("stop", worker.number)
            asyncio.get_running_loop().call_later(KILL_AFTER, self._kill_all)
        self._finish_when_empty()

    def _kill_all(self) -> None:
        for worker in self._workers.values():
            logger.error("%s did not end in %g s: killed", worker, KILL_AFTER)
            worker.parent.order("kill", worker.number)

    def _reload(self) -> None:
        if self._stopping or self._fork_server is None:
            logger.warning("SIGHUP: the workers are being started or stopped already")
        elif self._rolling and not self._rolling.done():
            logger.info("SIGHUP: the workers are being replaced already; once more when that is done")
            self._again = True  # something else may be installed by now
        else:
            self._rolling = asyncio.create_task(self._roll_out("SIGHUP"))

    def _roll_for(self, installed: str) -> None:
        """Replace all workers since one of them says that something else is installed."""
        busy = self._stopping or self._fork_server is None or (self._rolling and not self._rolling.done())
        if not busy and self._no_roll.allows(installed):
            self._rolling = asyncio.create_task(self._roll_out("other packages are installed", installed))

    # Fork servers

    async def _open_fork_server(self, *, trial: bool = False) -> ForkServerClient | str:
        """Start a fork server, again where a package's code hangs; in place of one that ends, why it does."""
        while True:
            environ, doors = put_hung(self._environ, self._hung), self._starting.doors
            server = ForkServerClient(environ, self._handle_message, self._handle_lost, doors, trial=trial)
            self._fork_servers.append(server)
            ready = await server.wait_until_ready()
            if ready is not None:
                break
            hung = server.watch.hung
            if hung is None or any(one.key == hung.key for one in self._hung):
                return server.describe_end()
            where = f" at {hung.location}" if hung.location else ""
            text = "%s: %s%s: the workers' parent process is started again without it"
            logger.error(text, hung.distribution, hung.reason, where)
            self._hung.append(hung)
        logger.info("workers are %s (everything loaded in %.1f s)", ready["how"], ready["seconds"])
        return server

    def _start_first_workers(self, opening: asyncio.Task[ForkServerClient | str]) -> None:
        if opening.cancelled() or self._exit.done():
            return
        opened = opening.result()
        if isinstance(opened, str):
            self._finish(self._failed_code or 1)
            return
        self._fork_server = opened
        logger.info("%d workers: SIGTERM drains them all, SIGHUP replaces one after the other", self._processes)
        self._start_missing()

    def _handle_lost(self, server: ForkServerClient) -> None:
        self._failed_code = server.exit_code
        self._fork_servers.remove(server)
        # A worker whose parent is gone ends itself; nobody is left who could say with which code.
        # (It finishes its calls first.)
        for worker in [worker for worker in self._workers.values() if worker.parent is server]:
            self._handle_exit(worker, -signal.SIGKILL)
        if server is self._fork_server and not self._stopping:
            logger.error("the workers' parent process has ended, and they end with their calls: starting again")
            self._fork_server = None
            self._rolling = asyncio.create_task(self._reopen())

    def _describe_hang(self) -> str:
        return next((server.watch.told for server in self._fork_servers), "")

    async def _reopen(self) -> None:
        delay = FIRST_DELAY
        while isinstance(server := await self._open_fork_server(), str):
            logger.error("it cannot be started: %s; trying again in %g s", server, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)
        self._fork_server = server
        self._start_missing()

    # Workers

    def _start_missing(self) -> None:
        """Start workers until as many take calls as there should be."""
        if self._fork_server is None or self._stopping:
            return
        taken = {worker.slot for worker in self._workers.values() if not worker.leaving}
        free = [slot for slot in range(self._processes) if slot not in taken]
        for slot in free[: max(0, len(free) - self._delayed)]:
            self._start_worker(self._fork_server, slot)

    def _start_worker(
        self, server: ForkServerClient, slot: int, replaces: SupervisedWorker | None = None
    ) -> SupervisedWorker:
        number = next(number for number in range(len(self._workers) + 1) if number not in self._workers)
        answers = not any(worker.answers for worker in self._list_slot(slot))
        worker = self._workers[number] = SupervisedWorker(number, server, slot, answers, replaces)
        keep = replaces.offer if replaces else Offer()
        server.order("start", number, slot=slot, answers=answers, keep=keep.to_json())
        return worker

    def _list_slot(self, slot: int) -> list[SupervisedWorker]:
        return [worker for worker in self._workers.values() if worker.slot == slot]

    def _handle_message(self, server: ForkServerClient, message: dict[str, Any]) -> None:
        if message["event"] == NO_DOORS:
            self._starting.close()
            return
        worker = self._workers.get(message["number"])
        if worker is None or worker.parent is not server:
            return
        match message["event"]:
            case "started":
                worker.pid = message["pid"]
                if worker.answers:
                    self._starting.leave(worker.slot)
            case "registered":
                self._note_registered(worker)
            case control_channel.OFFER:
                worker.offer = Offer(**message["offer"])
            case control_channel.LOST:
                worker.lost = dict(zip(message["names"], message["lines"], strict=True))
            case control_channel.ROLL:
                if not worker.leaving:
                    self._roll_for(message["installed"])
            case "replace":
                self._replace(worker)
            case "drain-all":
                if not self._stopping:  # each worker that is asked says so
                    self._stop()
            case "exited":
                self._handle_exit(worker, message["code"])

    def _note_registered(self, worker: SupervisedWorker) -> None:
        if not worker.registered:
            address = self._starting.describe(worker.slot)
            where = f", and answers on {address}" if address else ""
            logger.info("%s is registered, %.2f s after its start%s", worker, worker.age, where)
            # It answers by now, so that nobody is refused between the two.
            self._starting.leave(worker.slot)
            for other in self._list_slot(worker.slot):
                if other is not worker and other.answers:
                    other.parent.order("leave", other.number)
                    other.answers = False
            worker.answers = True
        worker.registered = self._proven = True
        worker.up.set()

    def _replace(self, worker: SupervisedWorker) -> None:
        if not worker.leaving:
            logger.info("%s takes no more calls: starting another", worker)
            worker.leaving = True
            self._start_missing()

    def _drain(self, worker: SupervisedWorker) -> None:
        worker.leaving = True
        worker.parent.order("drain", worker.number)

    def _handle_exit(self, worker: SupervisedWorker, code: int) -> None:
        del self._workers[worker.number]
        worker.code = code
        if not any(other.answers for other in self._list_slot(worker.slot)):
            self._starting.answer(worker.slot)
        worker.ended.set()
        worker.up.set()
        if self._stopping:
            self._codes.append(code)
            self._finish_when_empty()
        elif code == CANNOT_RUN and not self._proven:
            # No worker has ever registered: another one would end in the same way, for ever.
            self._finish(CANNOT_RUN)
        elif worker.replaces is not None and not worker.registered:
            self._start_missing()  # only where the one that it should replace has died meanwhile
        elif worker.leaving or code in (0, REPLACE_ME):
            logger.info("%s has left%s", worker, _describe_exit(code))
            self._start_missing()
        else:
            self._restart_after(worker, code)

    def _restart_after(self, worker: SupervisedWorker, code: int) -> None:
        # At once the first time: calls wait. Then later and later, lest a crash at each start take the machine's cores.
        deaths = 1 if worker.age >= HEALTHY_SECONDS else self._deaths.get(worker.number, 0) + 1
        self._deaths[worker.number] = deaths
        delay = 0.0 if deaths == 1 else min(FIRST_DELAY * 2.0 ** (deaths - 2), LONGEST_DELAY)
        when = f"in {delay:g} s" if delay else "at once"
        logger.error("%s has died%s: a new one %s", worker, _describe_exit(code), when)
        self._delayed += 1
        asyncio.get_running_loop().call_later(delay, self._start_delayed)

    def _start_delayed(self) -> None:
        self._delayed -= 1
        self._start_missing()

    # One after the other

    async def _roll_out(self, why: str, installed: str = "") -> None:
        await self._replace_all(why, installed)
        while self._again and not self._stopping:
            self._again = False
            await self._replace_all("SIGHUP")

    async def _replace_all(self, why: str, installed: str = "") -> None:
        """Replace all workers, one after the other; what runs is known to work, and goes on where that fails.

        Args:
            why: Why.
            installed: What is installed, as a worker says it.
        """
        logger.info("%s: loading everything again, then replacing the workers one after the other", why)
        self._hung.clear()  # what is installed now may not hang any more
        old, new = self._fork_server, await self._open_fork_server(trial=True)
        if old is None:
            return  # it has died meanwhile, and all is loaded again anyway
        if isinstance(new, str):
            self._note_failure([f"it cannot be loaded: {new}"], installed, for_good=True)
            return
        self._fork_server = new
        for worker in [worker for worker in self._workers.values() if worker.parent is old]:
            failed = await self._replace_one(worker, new)
            if failed is not None:
                self._fork_server = old
                new.close()
                lines = list(failed.lost.values()) or [_describe_failure(failed)]
                self._note_failure(lines, installed, failed.lost, for_good=bool(failed.lost))
                self._start_missing()
                return
        old.close()
        self._no_roll.forget()
        logger.info("all workers are replaced")

    async def _replace_one(self, worker: SupervisedWorker, server: ForkServerClient) -> SupervisedWorker | None:
        """Replace a worker: the new one is registered before the old one drains; returns it where that fails."""
        if not worker.leaving:
            new = self._start_worker(server, worker.slot, replaces=worker)
            await new.up.wait()
            if not new.registered:
                return new
            self._tell_differences(worker.offer, new.offer)
            self._drain(worker)
        await worker.ended.wait()
        return None

    def _tell_differences(self, before: Offer, after: Offer) -> None:
        if (before, after) == self._told:
            return  # of the first one that was replaced
        self._told = before, after
        if versions := describe_versions(before, after):
            logger.info("%s", versions)
        for line in describe_differences(before, after):
            logger.warning("%s", line)

    def _note_failure(
        self, lines: Sequence[str], installed: str, lost: Collection[str] = (), *, for_good: bool
    ) -> None:
        self._no_roll.note(installed, for_good=for_good)
        for line in lines:
            logger.error("the roll-out stops, and the workers go on as they are: %s", line)
        reason = lines[0] + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "")
        emits = True
        for worker in self._workers.values():
            if worker.registered and not worker.leaving:
                worker.parent.order("note", worker.number, failed=reason, lost=list(lost), emits=emits)
                emits = False

    # The end

    def _finish_when_empty(self) -> None:
        if not self._workers:
            cut_off = STOPPED_AT_ONCE in self._codes
            self._finish(STOPPED_AT_ONCE if cut_off else int(any(self._codes)))

    def _finish(self, code: int) -> None:
        if not self._exit.done():
            self._exit.set_result(code)


def supervise(processes: int, environ: Mapping[str, str], host: str = "", port: int = 0) -> int:
    """Keep ``processes`` workers running until told to stop; returns the exit code. As for `Supervisor`.

    Raises:
        OpenRTCError: This system cannot do that.
    """
    if problem := why_no_supervisor():
        fix = "leave it out, and start openrtc start as often as you want workers"
        raise OpenRTCError(f"several workers under one supervisor: {problem}", origin="--processes", fix=fix)
    return asyncio.run(Supervisor(processes, environ, host, port).run())


def _describe_failure(worker: SupervisedWorker) -> str:
    how = _describe_exit(worker.code or 0)
    return f"the new worker did not register: it has ended{how} before that, and the lines before this one say why"


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f" (exit code {code})" if code else ""
    return f" ({name_signal(-code)})"
