"""`Reloader`: takes an edit at save: watches, imports anew, and lets live calls have the new code between two turns.

Files are watched and imported in a thread of their own: what an import does holds up no call, and one that does not
come back is given up, with everything as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextvars import Context
from functools import partial
from pathlib import Path

from openrtc.errors import OpenRTCError, one_line, summarize_error
from openrtc.model.status import State, Status
from openrtc.observe.events import CallReloaded, CodeReloaded
from openrtc.reload.engine import Broken, Engine, PrepareAgents, Staged
from openrtc.reload.exchange import NotExchanged, TurnWatch, exchange, is_outdated, try_to_build
from openrtc.reload.files import Files
from openrtc.reload.importing import Stuck, import_within
from openrtc.runtime.live_call import LiveCall
from openrtc.runtime.live_session import LiveSession
from openrtc.runtime.runtime import Runtime
from openrtc.session.failure import find_failing_line

logger = logging.getLogger("openrtc.reload")

LOOK_AGAIN_SECONDS = 0.3
"""Between two looks where nothing tells of a change: a file that is watched by its name is lost when another one takes
its place."""
QUIET_MS = 30
"""How long nothing may change any more before a save counts as done: formatters and editors write in several steps."""
TRIAL_SECONDS = 10.0
"""How long the new agents of live calls may take to be built, before anything is changed."""
SAVE_SECONDS = 0.3
"""How long a file may be empty before it is taken for one that is meant so."""
INSTALL_SECONDS = 20.0
"""How long an installation is waited for that has not come to its end."""


@contextlib.asynccontextmanager
async def take_edits(
    runtime: Runtime, prepare: PrepareAgents, list_unregistered: Callable[[], Sequence[str]], since: float
) -> AsyncIterator[None]:
    """Take edits for the time of the context.

    Args:
        runtime: What the calls of this process share.
        prepare: Prepares agents that were not there before; returns why that failed, by their names.
        list_unregistered: Returns the agent names that only a restart registers.
        since: Edits since that time count, in seconds since the epoch.
    """
    reloader = Reloader(runtime, prepare, list_unregistered, since)
    reloader.start()
    try:
        yield
    finally:
        await reloader.aclose()


class Reloader:
    """Takes edits of the packages of a worker, from `start` to `aclose`.

    Args:
        runtime: What the calls of this process share.
        prepare: Prepares agents that were not there before; returns why that failed, by their names.
        list_unregistered: Returns the agent names that only a restart registers.
        since: Edits since that time count, in seconds since the epoch.
    """

    def __init__(
        self, runtime: Runtime, prepare: PrepareAgents, list_unregistered: Callable[[], Sequence[str]], since: float
    ) -> None:
        self._runtime = runtime
        self._list_unregistered = list_unregistered
        self._since = since
        self._prepare = prepare
        self._loop = asyncio.get_running_loop()
        self._files = Files()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._run, daemon=True, name="reload")
        self._watching: tuple[list[str], Iterator[None]] = ([], iter(()))
        self._exchanging: dict[LiveSession, asyncio.Task[None]] = {}
        self._kept: weakref.WeakSet[LiveSession] = weakref.WeakSet()
        self._watches: dict[LiveSession, TurnWatch] = {}
        self._told: set[str] = set()
        self._installing_since: float | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._runtime.follow = self._follow
        self._watcher.start()

    async def aclose(self) -> None:
        """Watch no more."""
        self._runtime.follow = None
        self._stop.set()
        for task in self._exchanging.values():
            task.cancel()
        await asyncio.gather(*self._exchanging.values(), return_exceptions=True)
        self._exchanging.clear()

    # In the thread.

    def _run(self) -> None:
        try:
            engine = Engine(self._runtime, self._prepare)
            self._files.look(engine.list_places())
            pending = self._files.list_since(self._since)
            while not self._stop.is_set():
                pending = self._take(engine, pending)
                if self._stop.is_set():
                    return
                self._wait_for_change()
                pending |= self._files.look(engine.list_places())
        except Stuck:
            pass
        except Exception as error:  # the calls go on, and so does the worker
            place = find_failing_line(error)
            logger.error("edits are not taken any more: %s at %s: restart", summarize_error(error), place)
            logger.debug("edits are not taken any more", exc_info=error)

    def _wait_for_change(self) -> None:
        folders = [folder for folder in sorted(self._files.folders) if os.path.isdir(folder)]
        if folders != self._watching[0]:
            self._watching = (folders, _watch(folders, self._stop))
        if next(self._watching[1], self) is self:
            self._watching = ([], iter(()))

    def _take(self, engine: Engine, pending: set[str]) -> set[str]:
        """Take what has changed; returns the files that are to be looked at again, since pip is still at work."""
        state = engine.look_at_installed()
        installed: set[str] = set()
        if not engine.is_known(state):
            began = self._installing_since = self._installing_since or time.monotonic()
            time.sleep(LOOK_AGAIN_SECONDS)
            goes_on = engine.look_at_installed() != state or not engine.is_whole(state)
            if goes_on and time.monotonic() - began < INSTALL_SECONDS:
                return pending
            self._installing_since = None
            installed = engine.find_installed(state)
        if not pending and not installed:
            return set()
        seen = time.time()
        pending |= self._wait_until_saved(engine, pending)
        try:
            staged = self._stage(engine, pending, installed)
        except Broken as broken:
            self._tell_broken(broken, pending, seen)
        else:
            if staged is not None:
                deciding = asyncio.run_coroutine_threadsafe(self._decide(staged, pending, seen), self._loop)
                with contextlib.suppress(asyncio.CancelledError):
                    deciding.result()
        # What has been imported just now is looked at for the first time, and may have been edited since.
        return self._files.look(engine.list_places()) | (self._files.list_since(seen) - pending)

    def _wait_until_saved(self, engine: Engine, pending: Collection[str]) -> set[str]:
        """Return what else changes until nothing does: one who saves in place empties the file first."""
        found, until = set(pending), time.monotonic() + SAVE_SECONDS
        while True:
            time.sleep(QUIET_MS / 1000)
            more = self._files.look(engine.list_places())
            found |= more
            if (not more and all(map(_holds_something, found))) or time.monotonic() > until:
                return found

    def _stage(self, engine: Engine, pending: set[str], installed: set[str]) -> Staged | None:
        """Import in another thread, which may never come back."""
        seconds = self._runtime.config.policy.import_seconds
        work = partial(engine.stage, pending, installed)
        return import_within(engine, work, seconds, sorted(installed), "edits are not taken any more")

    def _tell_broken(self, broken: Broken, files: Collection[str], began: float) -> None:
        status = broken.status
        names = ", ".join(broken.distributions) or "the code"
        logger.error("%s is as it was%s: %s", names, _describe_files(files), broken)
        self._runtime.events.emit(
            CodeReloaded(
                distributions=broken.distributions,
                files=tuple(sorted(files)),
                ms=_ms_since(began),
                reason=one_line(status.reason or ""),
                place=status.location or "",
            )
        )

    # On the loop of the calls.

    async def _decide(self, staged: Staged, files: Collection[str], began: float) -> None:
        try:
            async with asyncio.timeout(TRIAL_SECONDS):
                await self._try_to_build(staged)
        except (Exception, SystemExit) as error:  # the package's, whatever it is
            staged.put_back()
            reason = f"{error.message}" if isinstance(error, OpenRTCError) else summarize_error(error)
            place = find_failing_line(error)
            status = Status(State.BROKEN, reason, None, place or None)
            self._tell_broken(Broken(status, staged.distributions), files, began)
            return
        staged.commit()
        self._tell(staged, files, began)
        for call in list(self._runtime.live.values()):
            self._exchange_all(call, staged, began)

    async def _try_to_build(self, staged: Staged) -> None:
        """Build the new agent of one live call of each agent: a call must not be the first to see that it fails."""
        tried = set[tuple[str, str]]()
        for call in list(self._runtime.live.values()):
            for live in call.sessions:
                what = (call.agent, live.role)
                if live.loop is self._loop and not live.spec.pin_reload and what not in tried:
                    tried.add(what)
                    await try_to_build(live, staged.catalog)

    def _tell(self, staged: Staged, files: Collection[str], began: float) -> None:
        ms = _ms_since(began)
        names = ", ".join(staged.distributions) or "helpers"
        agents = f", agents: {', '.join(staged.agents)}" if staged.agents else ""
        logger.info("reloaded %s in %.0f ms%s%s", names, ms, _describe_files(files), agents)
        for row in staged.unusable:
            where = f" at {row.location}" if row.location else ""
            logger.error("%s of %s is %s: %s%s (%s)", row.name, row.distribution, row.state, row.reason, where, row.fix)
        for name in staged.gone:
            logger.info("agent %r is gone: its live calls go on, and it takes no more", name)
        if staged.restart:
            logger.warning("restart to have all of it: %s", "; ".join(staged.restart))
        unregistered = [name for name in self._list_unregistered() if name not in self._told]
        if unregistered:
            self._told.update(unregistered)
            logger.warning("restart to be registered as %s, too", ", ".join(map(repr, unregistered)))
        self._runtime.events.emit(
            CodeReloaded(
                distributions=staged.distributions, files=tuple(sorted(files)), agents=staged.agents, ms=round(ms, 1)
            )
        )

    def _exchange_all(self, call: LiveCall, staged: Staged, began: float) -> None:
        if not call.sessions and call.agent in staged.agents:
            _emit(call, began, "an entrypoint makes its session itself: the next call has the new code")
        for live in call.sessions:
            self._kept.discard(live)
            if live.loop is not self._loop:
                if call.agent in staged.agents:
                    _emit(call, began, "it has a thread of its own: the next call has the new code", live.role)
            elif live.spec.pin_reload:
                if is_outdated(live, self._runtime.catalog):
                    _emit(call, began, "pin_reload: the next call has the new code", live.role)
            else:
                self._exchange_soon(call, live, began)

    def _follow(self, call: LiveCall, live: LiveSession) -> None:
        """Watch a session from its start; also for an agent of old code that it comes back to later."""
        if live.loop is self._loop:
            self._watches[live] = TurnWatch(live)
            call.at_end.append(lambda: self._forget(live))
            live.session.on("agent_state_changed", lambda _: self._exchange_soon(call, live, time.time()))

    def _forget(self, live: LiveSession) -> None:
        self._watches.pop(live, None)

    def _exchange_soon(self, call: LiveCall, live: LiveSession, began: float) -> None:
        watch = self._watches.get(live)
        if watch is None or live in self._exchanging or live in self._kept or live.spec.pin_reload:
            return
        if not is_outdated(live, self._runtime.catalog):
            return
        # Not in the context of a call: what runs there is ended with that call.
        task = self._loop.create_task(self._exchange(call, live, watch, began), name="reload", context=Context())
        self._exchanging[live] = task
        task.add_done_callback(lambda _: self._exchanging.pop(live, None))

    async def _exchange(self, call: LiveCall, live: LiveSession, watch: TurnWatch, began: float) -> None:
        try:
            while is_outdated(live, self._runtime.catalog):
                if await exchange(live, watch, lambda: self._runtime.catalog):
                    _emit(call, began, "", live.role)
        except NotExchanged as kept:
            self._kept.add(live)
            if not call.ended:
                _emit(call, began, str(kept), live.role)
        except Exception as error:  # nothing of it may end the call
            self._kept.add(live)
            logger.debug("agent %r: its call keeps its code", call.agent, exc_info=error)
            _emit(call, began, f"{summarize_error(error)} at {find_failing_line(error)}", live.role)


def _watch(folders: Sequence[str], stop: threading.Event) -> Iterator[None]:
    """Yield when something has changed in one of some folders, and from time to time."""
    try:
        import watchfiles

        found = watchfiles.watch(
            *folders,
            watch_filter=None,
            stop_event=stop,
            yield_on_timeout=True,
            raise_interrupt=False,
            recursive=False,
            debounce=8 * QUIET_MS,
            step=QUIET_MS,
            rust_timeout=int(LOOK_AGAIN_SECONDS * 1000),
        )
        for _ in found:
            yield
    except (ImportError, OSError, RuntimeError):  # it is not there, or the machine has no more watches
        stop.wait(LOOK_AGAIN_SECONDS)
        yield


def _emit(call: LiveCall, began: float, reason: str, member: str = "") -> None:
    ms = _ms_since(began)
    call.events.emit(CallReloaded(**call.fields, ms=round(ms, 1), reason=reason, member=member))
    if reason:
        logger.info("agent %r: a live call keeps its code: %s", call.agent, reason, extra=call.fields)
    else:
        logger.info("agent %r: a live call has the new code after %.0f ms", call.agent, ms, extra=call.fields)


def _holds_something(file: str) -> bool:
    try:
        return os.path.getsize(file) > 0
    except OSError:  # it is removed
        return True


def _describe_files(files: Collection[str]) -> str:
    names = sorted({Path(file).name for file in files})
    return f" ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})" if names else ""


def _ms_since(began: float) -> float:
    return max(0.0, (time.time() - began) * 1000)
