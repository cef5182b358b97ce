"""`LoopBreaker`: ends the code of an agent that keeps the loop of all calls from running and never comes back.

It raises `LoopBroken` in that code, and exactly there: at the next line of a frame of the agent's own package. Anywhere
else, in livekit, asyncio or a library, an exception at any moment would leave something half done that other calls
share. So a signal interrupts the main thread, whose loop is blocked; its handler finds the agent's frames on the stack
and traces them; the trace function raises. Where the agent's frame waits inside a function written in C, such as
``time.sleep``, there is no next line: there the handler raises itself.

The watchdog's thread sends that signal. A function written in C may let no other thread run, such as a regular
expression that goes back again and again; the kernel's timer then does what the thread cannot.
"""

from __future__ import annotations

import asyncio
import dis
import functools
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from livekit.agents import JobContext, get_job_context

from openrtc.plugins.guard.clock import find_module
from openrtc.plugins.loop_hook import find_running_hook
from openrtc.posix import (
    call_on_cpu_timer,
    call_on_interrupt,
    interrupt_main_thread,
    start_cpu_timer,
    stop_calling_back,
)
from openrtc.session.failure import LoopBroken, mark_reported

RETRY_SECONDS = 1.0
"""Between two attempts: the code may catch every exception, or come back to a line of its own only now and then."""

CPU_SECONDS = 0.25
"""Seconds of this process's work between two looks where no thread can look."""

AGAIN_SECONDS = 0.5
"""How long code of a call may block the loop when code of the same call was broken off before."""

STATELESS = frozenset({"re"})
"""Modules of Python whose functions only hand on to C, and leave nothing half done."""

BROKEN_REMEMBERED = 64
"""Of so many calls; they end in a few seconds."""


@dataclass(frozen=True, slots=True)
class BrokenCode:
    """Code that was ended.

    Args:
        job: The job whose code it was, if any.
        plugin: The plugin whose hook it was, empty where it was none: then the call goes on.
        place: ``file:line`` at which the exception was raised.
        function: The function there.
        seconds: How long it had kept the loop from running.
        tries: How many exceptions it took.
    """

    job: JobContext | None
    plugin: str
    place: str
    function: str
    seconds: float
    tries: int

    @property
    def ends_call(self) -> bool:
        """Whether the call ends whose code it was."""
        return self.job is not None and not self.plugin


@dataclass(slots=True)
class _Block:
    """One step of the loop that does not end.

    Args:
        step: The outermost frame of what the loop runs; None where it runs nothing.
        began: When the loop has stood still since.
        next_try: When to try to end it.
        tries: How often that was tried.
        raised: How many exceptions were raised.
        stands_at: Where the code stood at the last try.
        stands_since: When it was seen there first.
        reporting: Tells of it when the loop runs again.
        job: The job whose code it is, once that is known.
        plugin: The plugin whose hook runs, empty where it is an agent's code.
        packages: Top-level modules that are its own code.
    """

    step: FrameType | None
    began: float
    next_try: float
    tries: int = 0
    raised: int = 0
    stands_at: tuple[FrameType, int] | None = None
    stands_since: float = 0.0
    reporting: asyncio.Handle | None = None
    job: JobContext | None = None
    plugin: str = ""
    packages: Collection[str] = ()

    def is_around(self, frame: FrameType) -> bool:
        """Whether a frame on the stack belongs to this step."""
        return self.step is not None and any(one is self.step for one in walk_outwards(frame))

    def is_own(self, frame: FrameType) -> bool:
        """Whether a frame on the stack belongs to this step and is code of the agent's own."""
        return find_top_level(frame) in self.packages and self.is_around(frame)

    def has_stood(self, frame: FrameType) -> bool:
        """Whether a frame has not moved since the last try; two looks at one time are one."""
        now, where = time.monotonic(), (frame, frame.f_lasti)
        if where == self.stands_at and now - self.stands_since < RETRY_SECONDS / 2:
            return False
        stood, self.stands_at, self.stands_since = where == self.stands_at, where, now
        return stood

    def find_own(self, frame: FrameType) -> FrameType | None:
        """Return the frame of the agent's own code that has called a function written in C, which runs now, if any."""
        caller: FrameType | None = frame
        while caller is not None and find_top_level(caller) in STATELESS:
            caller = caller.f_back
        return caller if caller is not None and self.is_own(caller) else None


class LoopBreaker:
    """Ends an agent's code that keeps a loop from running; made, and used by the loop, in the main thread.

    Args:
        loop: The loop.
        after_seconds: How long code may keep the loop from running.
        find_packages: Returns the top-level modules that are an agent's own code: of the agent of a job, or of all
            agents for code that belongs to no job. Called in a signal handler.
        on_break: Called with the job, if any, right before the exception is raised in its code.
        on_broken: Called in the loop when it runs again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        after_seconds: float,
        find_packages: Callable[[JobContext | None], Collection[str]],
        on_break: Callable[[JobContext | None], None],
        on_broken: Callable[[BrokenCode], None],
    ) -> None:
        self._loop = loop
        self._after_seconds = after_seconds
        self._find_packages = find_packages
        self._on_break = on_break
        self._on_broken = on_broken
        self._block: _Block | None = None
        self._previous: Any = None
        self._broken: deque[str] = deque(maxlen=BROKEN_REMEMBERED)
        self._beat = time.monotonic()
        self._base: Collection[CodeType] = ()
        call_on_interrupt(self._interrupt)
        call_on_cpu_timer(self._follow_alone)

    # In the watchdog's thread

    def follow(self, step: FrameType | None, began: float, job_id: str) -> None:
        """Look at what blocks the loop, and try to end it where it has lasted too long.

        Args:
            step: The outermost frame of what the loop runs now: it and all within go when that ends.
            began: When the loop has stood still since, on the monotonic clock.
            job_id: The job whose task it is; empty where that is not known.
        """
        now, block = time.monotonic(), self._block
        if block is None or block.step is not step:
            # Not the block is what counts, but the one step of it that runs now: many short steps one after the other
            # hold up the loop as well, and none of them is to blame.
            since = began if block is None else now
            # A call that is being ended for this has had its time.
            patience = min(AGAIN_SECONDS, self._after_seconds) if job_id in self._broken else self._after_seconds
            self._block = _Block(step, since, since + patience)
        elif step is not None and now >= block.next_try:
            block.next_try = now + RETRY_SECONDS
            block.tries += 1
            interrupt_main_thread()

    def describe(self) -> str:
        """Return what is done about the block that lasts, for a log line."""
        block = self._block
        if block is None or block.tries < 2:
            return ""
        if block.raised:
            return "it goes on though it was broken off, since its code catches every exception: it is tried again"
        return "it cannot be broken off before it comes back to a line of the agent's own code"

    # In the main thread

    def note_loop(self, base: Collection[CodeType]) -> None:
        """Note that the loop runs.

        Args:
            base: What is on the stack of whatever it runs.
        """
        self._beat, self._base = time.monotonic(), base
        # Early and often, since on a busy machine it is late: the clock says whether it is time.
        start_cpu_timer(CPU_SECONDS)
        if self._block:
            self._stop_tracing()
            self._block = None

    def close(self) -> None:
        """Watch no longer."""
        stop_calling_back()

    def _follow_alone(self, frame: FrameType | None) -> None:
        """Do at the kernel's timer what the watchdog's thread would do if it could run."""
        now, block = time.monotonic(), self._block
        if now - self._beat < self._after_seconds or (block and now < block.next_try + RETRY_SECONDS):
            return  # it can
        step = [None, *(one for one in walk_outwards(frame) if one.f_code not in self._base)][-1]
        if frame is None or block is None or block.step is not step:
            # Not at once: what runs now may have begun when something else had ended.
            self._block = _Block(step, self._beat, now, stands_at=frame and (frame, frame.f_lasti), stands_since=now)
            return
        block.next_try = now
        block.tries += 1
        self._interrupt(frame)

    def _interrupt(self, frame: FrameType | None) -> None:
        block = self._block
        if block is None or frame is None or not block.is_around(frame):
            return  # the block has ended by itself
        block.job = get_job_context(required=False)
        if hook := find_running_hook():
            block.plugin, block.packages = hook.plugin, (find_module(hook.function).partition(".")[0],)
        else:
            block.plugin, block.packages = "", self._find_packages(block.job)
        if block.has_stood(frame) and (own := block.find_own(frame)):  # it waits in a function written in C
            self._stop_tracing()
            raise self._begin_break(block, own)
        self._trace(block, frame)

    def _trace(self, block: _Block, frame: FrameType) -> None:
        for one in walk_outwards(frame):
            if block.is_own(one):
                one.f_trace = self._trace_line
        if sys.gettrace() != self._trace_call:
            self._previous = sys.gettrace()
        sys.settrace(self._trace_call)

    def _trace_again(self, frame: FrameType, event: str, argument: object) -> None:
        sys.setprofile(None)
        if self._block and self._block.is_around(frame):
            self._trace(self._block, frame)

    def _stop_tracing(self) -> None:
        if sys.gettrace() == self._trace_call or (self._previous and sys.gettrace() is None):
            sys.settrace(self._previous)
        self._previous = None
        if sys.getprofile() == self._trace_again:
            sys.setprofile(None)

    def _trace_call(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._trace_line if self._block and self._block.is_own(frame) else None

    def _trace_line(self, frame: FrameType, event: str, argument: object) -> Any:
        block = self._block
        # The frame of a coroutine keeps its trace function in its next steps.
        if event == "line" and block and block.is_own(frame) and not _is_better_later(block, frame):
            raise self._begin_break(block, frame)  # Python itself ends the tracing then
        return self._trace_line

    def _begin_break(self, block: _Block, frame: FrameType) -> LoopBroken:
        block.raised += 1
        if block.raised > 1 and sys.getprofile() is None:
            # It catches every exception: it is traced further from the next function on that it calls or leaves, since
            # whoever called it may catch this one as well. The first time, what it does in `finally` is let be.
            sys.setprofile(self._trace_again)
        if not block.plugin:  # else its call has done nothing
            if block.job:
                self._broken.append(block.job.job.id)
            self._on_break(block.job)
        lasted = time.monotonic() - block.began
        place, function = f"{frame.f_code.co_filename}:{frame.f_lineno}", f"{frame.f_code.co_name}()"
        # Told when the loop runs again: a handler of the log may be what was interrupted.
        if block.reporting:
            block.reporting.cancel()
        broken = BrokenCode(block.job, block.plugin, place, function, lasted, block.raised)
        block.reporting = self._loop.call_soon(self._on_broken, broken)
        error = LoopBroken(f"broken off, since it kept the loop of all calls from running for {lasted:.1f} s")
        mark_reported(error)
        return error


def walk_outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def find_top_level(frame: FrameType) -> str:
    """Return the top-level module of a frame's code."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_better_later(block: _Block, frame: FrameType) -> bool:
    # Who catches every exception does so inside of `try`: then a line outside of it is waited for, every second time in
    # vain where there is none.
    if not block.raised or block.tries % 2 == 1:
        return False
    return any(start <= frame.f_lasti < end for start, end in _list_guarded(frame.f_code))


@functools.lru_cache(maxsize=256)
def _list_guarded(code: CodeType) -> tuple[tuple[int, int], ...]:
    """Return the bytes of a function's code that stand inside of ``try``.

    The entries with ``lasti`` are of ``with``, of what is done at the end of ``except``, and of coroutines as a whole.
    """
    entries = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]  # it is there since Python 3.11
    return tuple((entry.start, entry.end) for entry in entries if not entry.lasti)
