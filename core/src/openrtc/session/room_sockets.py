"""Keeps few sockets open for each room that is joined: most descriptors of a worker are those of its rooms.

livekit's native library gathers addresses for a room until that is connected, and by its default for as long as the
room lives. Each room that begins to gather makes all others that still do open a further set of sockets, and none of
those is closed before its room. Fifty rooms joined at once had 8,572 descriptors, and 75 each when they were connected;
two at a time, and gathering only once, they had 430 and 7 each, and the last was connected as soon.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from livekit import rtc

from openrtc.posix import FreeDescriptors, count_free_descriptors

JOINS_AT_ONCE = 2
"""How many rooms of this process join at once. With two cores, fifty that began together were all connected after 3.7
to 5.6 s, and after 5.1 s without this limit; of twelve, half after 0.5 s, and after 0.7 s without."""

MOST_JOINS = 6
"""How many join at once while there are `PLENTY` descriptors: where a server is far away, each takes a second."""

PLENTY = 700
"""Free descriptors. Of eighteen rooms that joined by sixes, each kept 15, and of as many by twos, 8: a worker that may
open 1,024, and takes fifty sessions, lets some twenty join by sixes before it goes on by twos."""

JOINING_SECONDS = 3.0
"""How long a room that does not connect keeps others waiting. Most connect in 0.2 s; one that was deleted meanwhile may
take 15 s."""

POLL_SECONDS = 0.02
"""How often a room that waits looks whether it may join."""


def gather_once(options: rtc.RoomOptions) -> rtc.RoomOptions:
    """Return the options of a room with addresses gathered only until it is connected, where they say nothing of that.

    Args:
        options: Of ``rtc.Room.connect``; an ``rtc_config`` of their own stays as it is.
    """
    if options.rtc_config is not None:
        return options
    policy = rtc.ContinualGatheringPolicy.GATHER_ONCE
    return replace(options, rtc_config=rtc.RtcConfiguration(continual_gathering_policy=policy))


class JoinQueue:
    """Lets few rooms join at once, in all loops of this process, and none wait for those that take long.

    Args:
        at_once: How many.
        most: How many while there are `PLENTY` descriptors.
        seconds: After which time one that still joins does not count any more.
        count_free: Returns how many descriptors are free, None where there is no limit.
    """

    def __init__(
        self,
        at_once: int = JOINS_AT_ONCE,
        most: int = MOST_JOINS,
        seconds: float = JOINING_SECONDS,
        count_free: Callable[[], int | None] = count_free_descriptors,
    ) -> None:
        self._at_once = at_once
        self._most = most
        self._free = FreeDescriptors(count_free)
        self._seconds = seconds
        self._began: dict[object, float] = {}
        self._lock = threading.Lock()

    @contextlib.asynccontextmanager
    async def wait_for_turn(self) -> AsyncIterator[None]:
        """Wait until few enough others join; what is done inside is the join."""
        join = object()
        while not self._begin(join):  # noqa: ASYNC110 - who could set an event may be in a loop that is blocked
            await asyncio.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            with self._lock:
                del self._began[join]

    def _begin(self, join: object) -> bool:
        now = time.monotonic()
        with self._lock:
            joining = sum(now - began < self._seconds for began in self._began.values())
            may_begin = joining < self._at_once or (joining < self._most and self._free.look() >= PLENTY)
            if may_begin:
                self._began[join] = now
        return may_begin


joins = JoinQueue()
"""The joins of this process."""
