"""What ``/ready`` answers, whoever answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openrtc.model.hung_package import HungPackage
from openrtc.model.status import Status

STARTING = "starting"


def describe_readiness(
    reason: str | None,
    *,
    waits_for: str | None = None,
    max_sessions: int | None = None,
    beat_age: float = 0.0,
    left_out: Sequence[HungPackage] = (),
    lacks: Mapping[str, Sequence[str]] | None = None,
    broken: Mapping[str, Status] | None = None,
    drift: Sequence[Mapping[str, Any]] = (),
    roll_out_failed: str | None = None,
) -> dict[str, Any]:
    """Return whether calls are taken, as JSON.

    Args:
        reason: Why not; None where they are.
        waits_for: What a start waits for, if it has taken long.
        max_sessions: How many; None while it is not known yet how many fit.
        beat_age: How long ago the loop of the calls has last run, in seconds.
        left_out: What the start has left out.
        lacks: What agents that take calls lack to answer them, by their names.
        broken: Where agents stand for whose calls no process starts, by their names.
        drift: What is installed otherwise than it was loaded.
        roll_out_failed: Why the last attempt to replace this worker by a new one has failed, if it has.
    """
    answer: dict[str, Any] = {
        "ready": reason is None,
        "reason": f"{reason}: {waits_for}" if reason == STARTING and waits_for else reason,
        "max_sessions": max_sessions,
        "loop_beat_seconds": round(beat_age, 3),
    }
    answer |= {"left_out": {one.distribution: one.reason for one in left_out}} if left_out else {}
    answer |= {"broken": {name: status.reason for name, status in broken.items()}} if broken else {}
    answer |= {"drift": list(drift)} if drift else {}
    answer |= {"roll_out_failed": roll_out_failed} if roll_out_failed else {}
    return answer | ({"lacks": {name: list(what) for name, what in lacks.items()}} if lacks else {})
