"""`Watchdog`: reports what blocks the loop that all calls share, while it lasts.

A loop that is blocked silences every call and cannot say so itself. So it notes the time 20 times a second, and a
thread looks at that note. When it is old, the thread looks at the stack of the loop's thread: which code stands there,
and in which call.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import LoopBlocked
from openrtc.observe.package_code import is_plugin, match_package
from openrtc.runtime.live_call import LiveCall
from openrtc.session.containment import find_job
from openrtc.session.failure import is_framework
from openrtc.worker.blocked_loop.loop_breaker import LoopBreaker, find_top_level, walk_outwards
from openrtc.worker.stuck_stop import StuckStop, end_stuck_worker

logger = logging.getLogger("openrtc.worker")

TICK_SECONDS = 0.05
"""Between two notes of the loop, and two looks at them."""
NOTICED_SECONDS = 0.1
"""A block that lasts longer is an event: without the speedup `playout` it takes half of the sound that is buffered."""
ERROR_SECONDS = 0.5
"""One that lasts longer is an error in the log, a shorter one a warning."""
SAME_CODE_SECONDS = 0.2
"""Between two looks at whether it is still the same code that blocks."""
REPEATED_AFTER = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
"""Seconds of blocking after which it is reported again while it lasts; after that once a minute."""
QUIET_SECONDS = 60.0
"""A block shorter than `ERROR_SECONDS` is logged once in this time for each place."""
LONG_SECONDS = 4.5
"""From here on the log also says what comes at `NATIVE_LIMIT`; a report at 5 s may come a little early."""
NATIVE_LIMIT = 15.0
"""Seconds after which livekit's native library panics when a call was connecting meanwhile: see `recycle`."""


@dataclass(frozen=True, slots=True)
class Block:
    """What blocks the loop.

    Args:
        place: ``file:line`` of the blocking code, the agent's own where there is one.
        function: The function there.
        call: The call whose code it is, if it is a call's.
        plugin: The package whose code it is, where that is one of plugins; empty elsewhere.
    """

    place: str
    function: str
    call: LiveCall | None
    plugin: str = ""


class Watchdog:
    """Watches one loop from a thread of its own.

    Args:
        loop: The loop.
        events: Where blocks are reported.
        live: Returns the running call with a job id, if any.
        breaker: Ends what blocks the loop for too long, if given.
        stuck: Says whether the worker must end without its loop, if given.
        least: Seconds from which on a block is logged, and of calls alone; 0 logs all that are noticed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        events: EventStream,
        live: Callable[[str], LiveCall | None],
        breaker: LoopBreaker | None = None,
        stuck: StuckStop | None = None,
        least: float = 0.0,
    ) -> None:
        self._loop = loop
        self._events = events
        self._live = live
        self._breaker = breaker
        self._stuck = stuck
        self._least = least
        self._stopped = threading.Event()
        self._base: frozenset[CodeType] = frozenset()
        """What is on the stack of whatever the loop runs: of the loop itself, and of what has started it."""
        self._logged: dict[str, float] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")

    def start(self) -> None:
        """Begin to watch; call it in the loop's thread."""
        self._thread_id = threading.get_ident()
        self._beat = time.monotonic()
        self._loop.call_soon(self._note_time)
        self._thread.start()

    def stop(self) -> None:
        """End the watch; call it in the loop's thread."""
        self._stopped.set()
        self._thread.join()
        if self._breaker:
            self._breaker.close()
        if self._stuck:
            self._stuck.close()

    def beat_age(self) -> float:
        """Return how long ago the loop has last noted the time, in seconds; may be called in any thread."""
        return time.monotonic() - self._beat

    def _note_time(self) -> None:
        if self._stopped.is_set():  # the breaker would start its timer again, at which nobody is called any more
            return
        self._beat = time.monotonic()
        self._base = self._base or frozenset(frame.f_code for frame in walk_outwards(sys._getframe().f_back))
        if self._breaker:
            self._breaker.note_loop(self._base)
        if self._stuck:
            self._stuck.note_loop()
        self._loop.call_later(TICK_SECONDS, self._note_time)

    def _watch(self) -> None:
        slept_from = time.monotonic()
        while not self._stopped.wait(TICK_SECONDS):
            now = time.monotonic()
            late = now - slept_from - TICK_SECONDS
            if late >= TICK_SECONDS:
                self._log_standstill(late)
            elif now - self._beat >= TICK_SECONDS + NOTICED_SECONDS:
                self._follow_block(self._beat)
            slept_from = time.monotonic()

    def _log_standstill(self, seconds: float) -> None:
        # This thread could not run either: what stands on the loop's stack now is not to blame.
        if seconds >= ERROR_SECONDS:
            why = "the machine was busy or suspended, or native code held the interpreter's lock"
            logger.warning("the process stood still for %.1f s: %s", seconds, why)

    def _follow_block(self, beat: float) -> None:
        seen = [self._look()]
        times = _list_report_times()
        due = next(times)
        look_again, tried = 0.0, ""
        while self._beat == beat and not self._stopped.wait(TICK_SECONDS / 5):
            lasted = time.monotonic() - beat
            if self._breaker and lasted >= look_again:
                look_again = lasted + SAME_CODE_SECONDS
                step, job = [None, *self._list_frames()][-1], find_job(asyncio.current_task(self._loop))
                self._breaker.follow(step, beat, job.job.id if job else "")
                if self._breaker.describe() != tried:
                    tried = self._breaker.describe()
                    self._report(self._look(), lasted, ongoing=True)
            if self._stuck and self._stuck.is_due(lasted):
                end_stuck_worker(lasted, self._look().place)
            if lasted >= due:
                seen.append(self._look())
                due = next(times)
                self._report(seen[-1], lasted, ongoing=True)
        # The last look may have seen what came after the block, before the loop could note the time.
        self._report(_pick_most_common(seen), self._beat - beat - TICK_SECONDS, ongoing=False)

    def _look(self) -> Block:
        # Both the loop's current task and its thread's stack can be read from another thread, without its help.
        job = find_job(asyncio.current_task(self._loop))
        call = self._live(job.job.id) if job else None
        return find_block(self._list_frames(), call)

    def _list_frames(self) -> list[FrameType]:
        """Return the frames of what the loop runs now, the innermost first; none where it waits."""
        frames = walk_outwards(sys._current_frames().get(self._thread_id)) if self._base else ()
        return [frame for frame in frames if frame.f_code not in self._base]

    def _report(self, block: Block, seconds: float, *, ongoing: bool) -> None:
        self._events.emit(
            LoopBlocked(
                **(block.call.fields if block.call else {"job_id": "", "room": ""}),
                seconds=round(seconds, 3),
                ongoing=ongoing,
                place=block.place,
                function=block.function,
            )
        )
        self._log(block, seconds, ongoing)

    def _log(self, block: Block, seconds: float, ongoing: bool) -> None:
        if self._least and (seconds < self._least or not block.call):
            return
        if seconds < ERROR_SECONDS and not self._is_first_in_a_while(block.place):
            return
        whose = f" of agent {block.call.agent!r}" if block.call else ""
        whose = f" of plugin package {block.plugin!r}" if block.plugin else whose
        has_been, is_ = ("has been", "is") if ongoing else ("was", "was")
        text = f"the loop {has_been} blocked for {seconds:.1f} s by {block.function}{whose} at {block.place}"
        if ongoing and seconds > LONG_SECONDS:
            text += f"; from {NATIVE_LIMIT:g} s on, a call that is connecting makes livekit's native library fail"
        if ongoing and self._breaker and (told := self._breaker.describe()):
            text += f"; {told}"
        level = logging.ERROR if seconds >= ERROR_SECONDS else logging.WARNING
        fields = block.call.fields if block.call else {}
        logger.log(level, "%s; no call %s answered meanwhile", text, is_, extra=fields)

    def _is_first_in_a_while(self, place: str) -> bool:
        now = time.monotonic()
        if now - self._logged.get(place, -QUIET_SECONDS) < QUIET_SECONDS:
            return False
        self._logged[place] = now
        return True


def find_block(frames: list[FrameType], call: LiveCall | None) -> Block:
    """Return what runs in ``frames``: the innermost code of the call's agent or of a plugin, else no framework's."""
    if not frames:
        return Block("an unknown place", "unknown code", call)
    packages = call.packages if call else ()
    own = (f for f in frames if find_top_level(f) in packages or _find_plugin(f))
    foreign = (f for f in frames if not _is_plumbing(f))
    chosen = next(own, None) or next(foreign, None) or frames[0]
    return Block(
        f"{chosen.f_code.co_filename}:{chosen.f_lineno}", f"{chosen.f_code.co_name}()", call, _find_plugin(chosen)
    )


def _find_plugin(frame: FrameType) -> str:
    package = match_package(str(frame.f_globals.get("__name__", "")))
    return package if package and is_plugin(package) else ""


def _pick_most_common(blocks: list[Block]) -> Block:
    functions = [(block.function, block.place.rpartition(":")[0]) for block in blocks]
    return blocks[functions.index(max(functions, key=functions.count))]


def _is_plumbing(frame: FrameType) -> bool:
    return is_framework(frame.f_code.co_filename) or find_top_level(frame) in sys.stdlib_module_names


def _list_report_times() -> Iterator[float]:
    yield ERROR_SECONDS
    yield from REPEATED_AFTER
    latest = REPEATED_AFTER[-1]
    while True:
        latest += 60.0
        yield latest
