"""`Watchdog`: tells what blocks the loop that all calls share, while it lasts.

The loop notes the time 20 times a second; a thread looks at that note. When it is old, the thread looks at the stack of
the loop's thread: which code stands there, and in which call.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import LoopBlocked
from openrtc.worker.containment import job_of
from openrtc.worker.failure import is_framework
from openrtc.worker.live_call import LiveCall

logger = logging.getLogger("openrtc.worker")

TICK = 0.05
NOTICED = 0.1
"""Seconds from which on a block is told: what a caller can hear."""
LOUD = 0.5
"""Seconds from which on it is an error in the log."""
TOLD_AGAIN_AFTER = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
"""Seconds of blocking at which it is told again while it lasts; after that once a minute."""
QUIET_SECONDS = 60.0
"""A block shorter than `LOUD` is logged once in this time for each place."""
LONG = 4.5
"""Seconds from which on the operator is told what comes next."""
NATIVE_LIMIT = 15.0
"""Seconds after which livekit's native library fails when a call was connecting meanwhile: see `worn_out`."""


@dataclass(frozen=True, slots=True)
class Block:
    """What blocks the loop.

    Args:
        place: ``file:line`` of the blocking code, the agent's own where there is one.
        function: The function there.
        call: The call whose code it is, if it is a call's.
    """

    place: str
    function: str
    call: LiveCall | None


class Watchdog:
    """Watches one loop from a thread of its own.

    Args:
        loop: The loop.
        events: Where blocks are told.
        live: Returns the running call with a job id, if any.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, events: EventStream, live: Callable[[str], LiveCall | None]
    ) -> None:
        self._loop = loop
        self._events = events
        self._live = live
        self._thread_id = threading.get_ident()
        self._beat = time.monotonic()
        self._stopped = threading.Event()
        self._told: dict[str, float] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")

    def start(self) -> None:
        """Begin to watch; call it in the loop's thread."""
        self._thread_id = threading.get_ident()
        self._note_time()
        self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        self._stopped.set()
        self._thread.join()

    def _note_time(self) -> None:
        self._beat = time.monotonic()
        if not self._stopped.is_set():
            self._loop.call_later(TICK, self._note_time)

    def _watch(self) -> None:
        slept_from = time.monotonic()
        while not self._stopped.wait(TICK):
            now = time.monotonic()
            late = now - slept_from - TICK
            if late >= TICK:
                self._stood_still(late)
            elif now - self._beat >= TICK + NOTICED:
                self._follow(self._beat)
            slept_from = time.monotonic()

    def _stood_still(self, seconds: float) -> None:
        # This thread could not run either: what stands on the loop's stack now is not to blame.
        if seconds >= LOUD:
            why = "the machine was busy or suspended, or native code held the interpreter's lock"
            logger.warning("the process stood still for %.1f s: %s", seconds, why)

    def _follow(self, beat: float) -> None:
        seen = [self._look()]
        times = _times_to_tell()
        due = next(times)
        while self._beat == beat and not self._stopped.wait(TICK / 5):
            lasted = time.monotonic() - beat
            if lasted >= due:
                seen.append(self._look())
                due = next(times)
                self._tell(seen[-1], lasted, ongoing=True)
        # The last look may have seen what came after the block, before the loop could note the time.
        self._tell(_most_common(seen), self._beat - beat - TICK, ongoing=False)

    def _look(self) -> Block:
        job = job_of(asyncio.current_task(self._loop))
        call = self._live(job.job.id) if job else None
        return block_at(sys._current_frames().get(self._thread_id), call)

    def _tell(self, block: Block, seconds: float, *, ongoing: bool) -> None:
        call = block.call
        self._events.emit(
            LoopBlocked(
                **(call.fields if call else {"job_id": "", "room": ""}),
                seconds=round(seconds, 3),
                ongoing=ongoing,
                place=block.place,
                function=block.function,
            )
        )
        self._log(block, seconds, ongoing)

    def _log(self, block: Block, seconds: float, ongoing: bool) -> None:
        if seconds < LOUD and not self._first_in_a_while(block.place):
            return
        whose = f" of agent {block.call.agent!r}" if block.call else ""
        has_been, are = ("has been", "are") if ongoing else ("was", "were")
        text = f"the loop {has_been} blocked for {seconds:.1f} s by {block.function}{whose} at {block.place}"
        if ongoing and seconds > LONG:
            text += f"; from {NATIVE_LIMIT:g} s on, a call that is connecting makes livekit's native library fail"
        level = logging.ERROR if seconds >= LOUD else logging.WARNING
        fields = block.call.fields if block.call else {}
        logger.log(level, "%s; all calls %s silent meanwhile", text, are, extra=fields)

    def _first_in_a_while(self, place: str) -> bool:
        now = time.monotonic()
        if now - self._told.get(place, -QUIET_SECONDS) < QUIET_SECONDS:
            return False
        self._told[place] = now
        return True


def block_at(frame: FrameType | None, call: LiveCall | None) -> Block:
    """Return what stands at ``frame``: the innermost code of the call's agent, else of anybody but the frameworks."""
    frames = list(_outwards(frame))
    if not frames:
        return Block("an unknown place", "unknown code", call)
    package = call.package if call else ""
    own = (f for f in frames if package and _top_level(f) == package)
    foreign = (f for f in frames if not _is_plumbing(f))
    chosen = next(own, None) or next(foreign, None) or frames[0]
    return Block(f"{chosen.f_code.co_filename}:{chosen.f_lineno}", f"{chosen.f_code.co_name}()", call)


def _most_common(blocks: list[Block]) -> Block:
    functions = [(block.function, block.place.rpartition(":")[0]) for block in blocks]
    return blocks[functions.index(max(functions, key=functions.count))]


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_plumbing(frame: FrameType) -> bool:
    return is_framework(frame.f_code.co_filename) or _top_level(frame) in sys.stdlib_module_names


def _top_level(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _times_to_tell() -> Iterator[float]:
    yield LOUD
    yield from TOLD_AGAIN_AFTER
    latest = TOLD_AGAIN_AFTER[-1]
    while True:
        latest += 60.0
        yield latest
