"""The clock of a package's code: code that does not come back is told, and given up after its time.

Whatever a start waits for runs within `clocked`. A thread beside it tells, with growing pauses, whose code it is, since
when it runs and at which line, and calls for an answer when its time is over. Code cannot be interrupted where it is
compiled, so an answer ends the process or begins it anew.

Code that also holds the interpreter's lock keeps this thread from running. Regular expressions and huge numbers let
signals through: then a timer does the thread's work. For what lets nothing through, `faulthandler`, whose thread needs
no lock, prints the stack a little later. It also ends the process, unless there is a last resort that begins it anew.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from openrtc.errors import OpenRTCError, one_line
from openrtc.model.hung_package import IMPORT, HungPackage, name_hung
from openrtc.observe.log_guard import current_log
from openrtc.plugins.fault import locate_frame
from openrtc.plugins.guard.stop_watch import StopWatch
from openrtc.posix import (
    call_on_cpu_timer,
    call_on_interrupt,
    has_cpu_timer,
    interrupt_main_thread,
    start_cpu_timer,
    stop_calling_back,
    why_no_interrupt,
)

if TYPE_CHECKING:
    from openrtc.plugins.guard.exec_timer import ExecTimer

logger = logging.getLogger("openrtc.clock")

FIRST_TOLD_SECONDS = 5.0
"""After so long it is told first, and again whenever it has taken twice as long: livekit's own import takes two."""
IDLE_SECONDS = 5.0
"""Between two looks of the thread; at one at which nothing runs, it ends."""
THREAD_LATE_SECONDS = 1.0
"""How late the thread may be on a busy machine, before the timer looks in its place."""
TIMER_SECONDS = 0.5
"""Of this process's work between two looks of the timer: on a machine shared by many, that takes seconds."""
TURN_SECONDS = 0.1
"""How long the code is interrupted where the thread has begun to look, and gets no turn otherwise to go on."""
LOCKED_SECONDS = 5.0
"""How much later than its time code is ended that holds the interpreter's lock: a busy machine is not taken for it."""
AFTER_STACK_SECONDS = 0.5
"""How much later the process begins anew than the stack of such code is printed."""
STOP_GRACE_SECONDS = 1.0
"""How long code may still take that was already told when the process is told to stop; else until it is told."""
GIVEN_UP = 2
"""The exit code of a command that gives up, as after any mistake of a package that it cannot do without."""

# Kept, since a package replaces or patches them: os._exit is refused to its code, and gevent has a sleep of its own.
_exit, _sleep, _write = os._exit, time.sleep, os.write


@dataclass(frozen=True, slots=True)
class PackageCode:
    """Code of a package that something waits for.

    Args:
        distribution: The distribution's name.
        owner: Whose it is, for a line: distribution, version and entry point.
        module: The module in whose package it stands.
        what: Which code: ``its import``, or a hook.
    """

    distribution: str
    owner: str
    module: str
    what: str = IMPORT

    def describe(self, seconds: float, since: float, place: str | None) -> str:
        """Return what is told of it while it runs.

        Args:
            seconds: How long it has been running.
            since: When it began, on the wall clock.
            place: Where it is.
        """
        began = time.strftime("%H:%M:%S", time.localtime(since))
        where = f", now at {place}" if place else ""
        return one_line(f"{self.owner}: {self.what} has been running for {seconds:.0f} s, since {began}{where}")

    def give_up(self, limit: float, place: str | None) -> HungPackage:
        """Return what the distribution is when its time is over."""
        return name_hung(self.distribution, self.what, limit, place)


@dataclass(slots=True)
class _Running:
    code: PackageCode
    limit: float
    thread: int
    began: float
    since: float
    tell_at: float
    told: str = ""


def find_module(function: Callable[..., object]) -> str:
    """Return the module in which a function stands; empty where that is not known."""
    return str(getattr(function, "__module__", None) or "")


Answer = Callable[[PackageCode, HungPackage], None]
"""Called in the clock's thread when the time of some code is over; if it returns, the code goes on and is told."""


class Clock(Protocol):
    """Hears of the beginning and the end of code."""

    def begin(self, code: PackageCode, limit: float) -> None:
        """Note that code begins, which has ``limit`` seconds; 0 for as long as it likes."""

    def end(self) -> None:
        """Note that it has ended."""

    def describe(self) -> str | None:
        """Return what there is to tell of the code that runs, if there is."""


class LastResort(Protocol):
    """Does after some time what an answer does, also where no Python can run."""

    def arm(self, code: PackageCode, hung: HungPackage, seconds: float) -> bool:
        """Do it after so many seconds, unless it is disarmed before; whether it will."""

    def disarm(self) -> None:
        """Do nothing."""


class ThreadClock:
    """A clock that looks from a thread of its own, which is there only while code runs and shortly after.

    Args:
        answer: What is done about code whose time is over.
        ends: Whether the answer ends this process, so that it may also be ended where no thread can run.
        first: Seconds after which code is told first.
        stop: What is done about code that takes long while the process is told to stop, which else nobody may hear of;
            it does not return.
        last_resort: What does the answer's work where no Python can run, if anything does.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        ends: bool = True,
        first: float = FIRST_TOLD_SECONDS,
        stop: Callable[[PackageCode], object] | None = None,
        last_resort: LastResort | None = None,
    ) -> None:
        self._answer = answer
        self._last_resort = last_resort
        self._armed = False
        self._ends = ends
        self._first = first
        self._stop = stop
        self._stop_watch: StopWatch | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()  # of the three below
        self._running: _Running | None = None
        self._has_thread = False
        self._next_look = 0.0
        self._looking = threading.Lock()
        self._has_timer = False
        self._on_stop: Any = None  # what SIGTERM does

    def begin(self, code: PackageCode, limit: float) -> None:
        """Note that code begins."""
        if os.getpid() != self._pid:  # a process that a package has forked: no thread of this one is there
            return
        _keep_stderr()
        if self._stop and why_no_interrupt() is None:
            self._stop_watch = self._stop_watch or StopWatch()
            self._stop_watch.begin()
        if self._last_resort and limit:
            hung, seconds = code.give_up(limit, None), limit + LOCKED_SECONDS + AFTER_STACK_SECONDS
            self._armed = self._last_resort.arm(code, hung, seconds)
            if self._armed and _stderr is not None:  # now: the thread may never come to run
                faulthandler.dump_traceback_later(limit + LOCKED_SECONDS, exit=False, file=_stderr)
        now = time.monotonic()
        with self._lock:
            self._running = _Running(code, limit, threading.get_ident(), now, time.time(), now + self._first)
            if not self._has_thread:
                self._has_thread = True
                self._next_look = now
                threading.Thread(target=self._run, daemon=True, name="import-clock").start()
        # Somebody else's timer stays: a worker that runs calls has it for the same purpose.
        if why_no_interrupt() is None and not has_cpu_timer():
            self._has_timer = True
            self._on_stop = signal.getsignal(signal.SIGTERM)
            call_on_interrupt(lambda _: self._put_stop_back())
            call_on_cpu_timer(lambda _: self._look_instead())
            start_cpu_timer(TIMER_SECONDS)

    def end(self) -> None:
        """Note that it has ended."""
        self._running = None
        if self._has_timer:
            self._has_timer = False
            stop_calling_back()
        self._disarm()
        if self._stop_watch and os.getpid() == self._pid:
            self._stop_watch.end()

    def describe(self) -> str | None:
        """Return what was told last of the code that runs."""
        running = self._running
        return running.told or None if running else None

    def _run(self) -> None:
        while True:
            with self._looking:
                if not self._look():
                    return
            seconds = max(0.0, self._next_look - time.monotonic())
            if self._stop_watch:
                self._stop_watch.wait(seconds)
            else:
                _sleep(seconds)

    def _put_stop_back(self) -> None:
        # A server that runs within an import would end itself only, and the worker begin when it should end.
        if signal.getsignal(signal.SIGTERM) != self._on_stop:
            signal.signal(signal.SIGTERM, self._on_stop)

    def _look_instead(self) -> None:
        """Look in the main thread, where the clock's own has not come to run."""
        if time.monotonic() <= self._next_look + THREAD_LATE_SECONDS:
            return
        # Never waiting for it: what it waits for may be held by the code that is interrupted here.
        if self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        else:
            _sleep(TURN_SECONDS)

    def _look(self) -> bool:
        """Do what is due, and note when to look again; False when nothing runs, and the thread ends."""
        now = time.monotonic()
        with self._lock:
            running = self._running
            self._has_thread = running is not None
            if running is None:
                faulthandler.cancel_dump_traceback_later()
                return False
        ends_at = running.began + running.limit if running.limit else math.inf
        stops_at = self._find_stop(running)
        if self._stop and now >= min(stops_at, ends_at) and stops_at < math.inf:
            self._disarm()  # to end takes its time, in which nothing may begin again
            self._stop(running.code)
        if now >= ends_at:
            self._answer(running.code, running.code.give_up(running.limit, _locate(running)))
            running.limit = 0  # it is only told from now on
        elif now >= running.tell_at:
            self._tell(running, now - running.began)
            running.tell_at = running.began + 2 * (running.tell_at - running.began)
        self._next_look = min(now + IDLE_SECONDS, running.tell_at, stops_at, ends_at if running.limit else math.inf)
        if self._ends and running.limit and _stderr is not None:
            longest = ends_at - now if self._armed else self._next_look - now + running.limit
            faulthandler.dump_traceback_later(longest + LOCKED_SECONDS, exit=not self._armed, file=_stderr)
        return True

    def _disarm(self) -> None:
        if self._last_resort and self._armed:
            self._armed = False
            self._last_resort.disarm()
            faulthandler.cancel_dump_traceback_later()

    def _find_stop(self, running: _Running) -> float:
        """Return when the process ends though code runs, since it is told to stop."""
        if self._stop_watch is None:
            return math.inf
        self._stop_watch.look()
        told_at = self._stop_watch.told_at
        return math.inf if told_at is None else max(told_at + STOP_GRACE_SECONDS, running.began + self._first)

    def _tell(self, running: _Running, taken: float) -> None:
        line = running.told = running.code.describe(taken, running.since, _locate(running))
        if self._running is not running:
            return
        if self._has_timer:
            interrupt_main_thread()  # which alone may set what happens at signals
        if current_log():
            logger.warning("%s", line)
        else:  # a command that looks has none
            _write_line(f"openrtc: warning: {line}")


def _write_line(line: str) -> None:
    if _stderr is not None:
        with contextlib.suppress(OSError):  # nobody reads it
            _write(_stderr, f"{line}\n".encode(errors="backslashreplace"))


_stderr: int | None = None


def _keep_stderr() -> None:
    """Keep a descriptor of standard error: a package may close that one, or point it somewhere else."""
    global _stderr
    if _stderr is None:
        with contextlib.suppress(OSError):  # it is closed
            _stderr = os.dup(2)


def _locate(running: _Running) -> str | None:
    return locate_frame(sys._current_frames().get(running.thread), running.code.module)


def give_up(code: PackageCode, hung: HungPackage) -> None:
    """End a command that cannot go on without some code, in one line."""
    where = f" (at {hung.location})" if hung.location else ""
    line = OpenRTCError(f"{hung.reason}{where}", origin=code.owner, fix=hung.fix)
    _write_line(f"openrtc: {line}")
    _exit(GIVEN_UP)


class EndInLine:
    """The last resort of a command that cannot go on without some code: it ends in one line too."""

    @functools.cached_property
    def _timer(self) -> ExecTimer | None:
        from openrtc.plugins.guard.exec_timer import ExecTimer  # only where a package's code runs

        return ExecTimer.find()

    def arm(self, code: PackageCode, hung: HungPackage, seconds: float) -> bool:
        """End the command after some seconds, unless it is disarmed before; whether that can be done here."""
        line = f"openrtc: {OpenRTCError(hung.reason, origin=code.owner, fix=hung.fix)}"
        return self._timer is not None and self._timer.start(seconds, (), os.environ, line=line, code=GIVEN_UP)

    def disarm(self) -> None:
        """Let it go on."""
        if self._timer is not None:
            self._timer.stop()


def go_on(code: PackageCode, hung: HungPackage) -> None:
    """Let code go on, whatever time it takes: somebody else ends the process."""


class _StoppedClock:
    def begin(self, code: PackageCode, limit: float) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""

    def describe(self) -> str | None:
        """Return nothing."""
        return None


STOPPED_CLOCK: Clock = _StoppedClock()
"""Of a process that waits for nothing any more, or whose parent looks at the time."""

_clock: Clock = ThreadClock(give_up, last_resort=EndInLine())
_limit = 60.0  # seconds, until the settings are read
_inside = False


def use_clock(clock: Clock) -> None:
    """Let this process have another clock than that of a command that looks, which gives up."""
    global _clock
    _clock = clock


def set_limit(seconds: float) -> None:
    """Set how long code may take, 0 for no limit."""
    global _limit
    _limit = seconds


def describe_hang() -> str | None:
    """Return what there is to tell of the code that something waits for, if it has taken long."""
    return _clock.describe()


@contextlib.contextmanager
def clocked(code: PackageCode) -> Iterator[None]:
    """Run a package's code, watched by the process's clock; code that asks for other code is one with it."""
    global _inside
    if _inside:
        yield
        return
    _inside = True
    clock = _clock
    clock.begin(code, _limit)
    try:
        yield
    finally:
        _inside = False
        clock.end()
