"""`ProcessGrowth`: by how much a process grows with each call that has ended: an estimate.

Memory and descriptors belong to the process and not to a call: a cache that fills, a library that loads something and
calls that are live just then count as well. So the process is looked at after calls have ended, and looks are compared
only where as many calls were live. The median of all pairs of them forgets what grew once, as the first calls let it.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, NamedTuple

from openrtc.observe.process_memory import resident_bytes
from openrtc.posix import count_descriptors

SETTLED_SECONDS = 7.0
"""How long after the last call's end the process is looked at: what a call leaves behind is ended after 5 s."""

MOST_UNSEEN = 10
"""So many calls may have ended since the last look, where the next ones always end before that time is over."""

LOOKS = 48
"""How many looks are compared: the last ones."""

LEAST_CALLS = 4
"""An estimate is over so many calls at least."""


class _Look(NamedTuple):
    ended: int
    live: int
    memory: int
    descriptors: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """By how much a process has grown for each call that has ended: an estimate.

    Args:
        calls: Over how many calls.
        memory_mb: Resident memory, in MB.
        descriptors: Files and sockets; None where the system does not tell.
    """

    calls: int
    memory_mb: float
    descriptors: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it as ``openrtc top --json`` shows it."""
        return asdict(self)


class ProcessGrowth:
    """Looks at this process as its calls end.

    Args:
        measure: Returns its memory in bytes.
        count: Returns how many descriptors it has open, None where nobody knows.
    """

    def __init__(
        self, measure: Callable[[], int] = resident_bytes, count: Callable[[], int | None] = count_descriptors
    ) -> None:
        self._measure = measure
        self._count = count
        self._looks: deque[_Look] = deque(maxlen=LOOKS)
        self._ended = self._seen = 0
        self._since = 0.0

    def look(self, ended: int, live: int) -> None:
        """Look at the process if it is time to; to be called often, by one thread.

        Args:
            ended: How many calls have ended so far.
            live: How many are live.
        """
        now = time.monotonic()
        if ended != self._ended:
            self._ended, self._since = ended, now
        unseen = ended - self._seen
        if not unseen or (now - self._since < SETTLED_SECONDS and unseen < MOST_UNSEEN):
            return
        self._seen = ended
        try:
            self._looks.append(_Look(ended, live, self._measure(), self._count()))
        except OSError:  # no descriptor is left to count them with: what the operator reads of elsewhere
            return

    def estimate(self) -> Growth | None:
        """Return by how much the process grows a call; None before enough calls have ended. For use in any thread."""
        pairs = [
            (first, last, last.ended - first.ended)
            for first, last in combinations(tuple(self._looks), 2)
            if first.live == last.live
        ]
        longest = max((calls for _, _, calls in pairs), default=0)
        if longest < LEAST_CALLS:
            return None
        memory = statistics.median((last.memory - first.memory) / calls for first, last, calls in pairs)
        files = [
            (last.descriptors - first.descriptors) / calls
            for first, last, calls in pairs
            if first.descriptors is not None and last.descriptors is not None
        ]
        return Growth(
            calls=longest,
            memory_mb=round(memory / 1e6, 3),
            descriptors=round(statistics.median(files), 2) if files else None,
        )
