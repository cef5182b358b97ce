"""Threads of their own for the blocking code of each call and each plugin.

asyncio gives a loop one executor with a few threads (6 on two cores) for everything: six calls that waited in
``asyncio.to_thread`` held up each other call's, and livekit-agents, which asks for the load there before it takes a
job. `openrtc.session.loop_threads` lets a loop use these instead.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import Context, ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

MOST_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""How many threads a call has at most for its blocking code: as many as asyncio gives a process of its own."""
MOST_NOTED = 256
"""So many threads are noted before those that have ended are forgotten."""
MOST_NAMES = 32
"""How many host names a call looks up at once: a server that does not answer holds each for 5 to 30 s."""


class ThreadGroup(Executor):
    """Daemon threads that are started when work waits and none is free, and end when the group is closed.

    Unlike asyncio's own executor, it never keeps a process from ending, and takes work after it was closed, too: what
    cleans up after a call needs no free thread to be left.

    Args:
        owner: In whose name its threads run.
        name: What its threads are called.
        most: How many threads there are at most; further work waits.
    """

    def __init__(self, owner: ThreadOwner, name: str, most: int = MOST_THREADS) -> None:
        self._owner = owner
        self._name = name
        self._most = most
        self._pending: deque[_Work] = deque()
        self._running: set[_Work] = set()
        self._changed = threading.Condition()
        self._threads = 0
        self._free = 0
        self._closed = False

    @property
    def unfinished(self) -> list[_Work]:
        """What runs or waits."""
        with self._changed:
            return [*self._running, *self._pending]

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``fn`` in a thread, as soon as one is free."""
        return self.start(lambda: fn(*args, **kwargs), getattr(fn, "__qualname__", repr(fn)))

    def start(self, function: Callable[[], T], place: str) -> Future[T]:
        """Like `submit`, for a function without arguments.

        Args:
            function: What runs.
            place: Which code it is, for whoever asks what is `unfinished`.

        Raises:
            RuntimeError: There is no thread yet, and the system gives none.
        """
        work = _Work(function, place)
        with self._changed:
            self._pending.append(work)
            if len(self._pending) <= self._free or self._threads >= self._most:
                self._changed.notify()
                return work.future
            self._threads += 1
            try:
                self._start_thread()
            except RuntimeError:  # the system has no more: the threads that there are do it
                self._threads -= 1
                if not self._threads:
                    self._pending.remove(work)
                    raise
        return work.future

    def close(self) -> None:
        """Let the threads end that are free, and each other one after its work; returns at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _start_thread(self) -> None:
        # With the owner and nothing else: what a thread of a call hands back to the loop counts as that call's.
        context = Context()
        context.run(current_threads.set, self._owner)
        thread = threading.Thread(target=context.run, args=(self._run,), daemon=True, name=self._name)
        Context().run(thread.start)  # in nobody's name: what runs in it is `unfinished`, and it ends with the group

    def _run(self) -> None:
        with self._changed:
            self._free += 1
        while (work := self._next()) is not None:
            deliver = work.run()
            with self._changed:
                self._running.discard(work)
                # Before the answer: whoever gets it may have more work at once, for which no second thread is needed.
                self._free += 1
            deliver()
            del work, deliver  # what they hold may be large, and the next may come late

    def _next(self) -> _Work | None:
        with self._changed:
            while not self._pending and not self._closed:
                self._changed.wait()
            self._free -= 1
            if not self._pending:
                self._threads -= 1
                return None
            work = self._pending.popleft()
            self._running.add(work)
            return work


class _Work:
    """A function that waits for a thread, or runs in one."""

    def __init__(self, function: Callable[[], Any], place: str) -> None:
        self._function = function
        self.place = place
        self.future: Future[Any] = Future()

    def run(self) -> Callable[[], None]:
        """Run the function; returns what gives its answer to whoever waits for it."""
        if not self.future.set_running_or_notify_cancel():
            return lambda: None
        try:
            return functools.partial(self.future.set_result, self._function())
        except BaseException as error:  # sys.exit() as well, as in asyncio's own executor: who awaits it gets it
            return functools.partial(self.future.set_exception, error)


class ThreadOwner:
    """Somebody whose blocking code must not hold up anybody else's: a call, a plugin, the worker itself.

    Args:
        name: What its threads are called.
        most: How many threads it has at most for its own code.
        distribution: Whose code it is, where that is not plain; else empty.

    ``chosen`` is the executor that its code has set as the loop's default, if any. ``own`` runs its code, ``names``
    looks up host names for it, and ``framework`` runs what livekit-agents does for it: it must not wait for threads
    that the owner's code never gives back, since it cleans up after them.
    """

    def __init__(self, name: str, most: int = MOST_THREADS, distribution: str = "") -> None:
        self.name = name
        self.distribution = distribution
        self.chosen: Executor | None = None
        self.own = ThreadGroup(self, name, most)
        self.names = ThreadGroup(self, f"{name}-names", MOST_NAMES)
        self.framework = ThreadGroup(self, f"{name}-livekit")
        self._parts: dict[str, ThreadOwner] = {}
        self._started: list[weakref.ref[threading.Thread]] = []

    def part(self, name: str, distribution: str = "") -> ThreadOwner:
        """Return the owner for somebody else's code in this one's name, such as a plugin's in a call."""
        if name not in self._parts:
            self._parts[name] = ThreadOwner(f"{self.name}-{name}", distribution=distribution)
        return self._parts[name]

    @property
    def owners(self) -> list[ThreadOwner]:
        """Itself, and its parts."""
        return [self, *(owner for part in list(self._parts.values()) for owner in part.owners)]

    @property
    def unfinished(self) -> list[_Work]:
        """What of its own code, and of its parts', runs or waits."""
        return [work for owner in self.owners for work in owner.own.unfinished]

    @property
    def started(self) -> list[threading.Thread]:
        """The threads that its code has started itself and that run; not those of its parts."""
        return [thread for one in list(self._started) if (thread := one()) is not None and thread.is_alive()]

    def note_started(self, thread: threading.Thread) -> None:
        """Note that its code has started a thread."""
        self._started.append(weakref.ref(thread))
        if len(self._started) >= MOST_NOTED and not len(self._started) % MOST_NOTED:  # most are short
            self._started[:] = [one for one in self._started if (kept := one()) is not None and kept.is_alive()]

    def close(self) -> None:
        """Let the threads end; see `ThreadGroup.close`."""
        self.chosen = None  # not shut down: other calls may share it
        for group in (self.own, self.names, self.framework):
            group.close()
        for part in self._parts.values():
            part.close()


current_threads: ContextVar[ThreadOwner | None] = ContextVar("openrtc_threads", default=None)
"""Whose code runs now; tasks inherit it from the task that makes them."""


def watch_started_threads() -> None:
    """Let each owner know from now on which threads its code starts itself; done once for the process."""
    if hasattr(threading.Thread.start, "__wrapped__"):
        return
    start = threading.Thread.start

    @functools.wraps(start)
    def start_noted(self: threading.Thread) -> None:
        start(self)
        if owner := current_threads.get():
            owner.note_started(self)

    threading.Thread.start = start_noted  # type: ignore[method-assign]  # libraries make threads themselves
