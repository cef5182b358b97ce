"""Draws which calls ran at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from openrtc.conversation.call_record import CallRecord

_LEAST = 10


def most_at_once(calls: Sequence[CallRecord]) -> int:
    """Return how many of the calls ran at the same time, at most."""
    # At one moment an end counts before a beginning.
    changes = sorted([(call.began, 1) for call in calls] + [(call.ended, -1) for call in calls])
    return max(accumulate(change for _, change in changes), default=0)


def timeline(calls: Sequence[CallRecord], width: int) -> list[str]:
    """Return a line for each call: its room, a bar on a common axis of time, and its seconds.

    Args:
        calls: Calls that have ended.
        width: Columns of a line.
    """
    origin = min(call.began for call in calls)
    whole = max(call.ended for call in calls) - origin
    name = max(len(call.room) for call in calls)
    seconds = [f"{call.began - origin:4.1f} - {call.ended - origin:4.1f} s" for call in calls]
    columns = max(_LEAST, min(width, 100) - name - len(seconds[0]) - 4)

    def column(moment: float) -> int:
        return round((moment - origin) / whole * columns) if whole else 0

    return [
        f"{call.room.ljust(name)}  {_bar(column(call.began), column(call.ended), columns)}  {told}"
        for call, told in zip(calls, seconds, strict=True)
    ]


def _bar(start: int, end: int, columns: int) -> str:
    end = max(end, start + 1)
    return (" " * start + "=" * (end - start)).ljust(columns)
