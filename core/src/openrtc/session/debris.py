"""Clears away the tasks that code has made by the hundred while it did not come back to the loop."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from openrtc.session.containment import find_job

DEBRIS = 100
"""So many tasks of one kind of one call that have not begun yet are no work that anybody waits for."""


def cancel_debris(job_id: str) -> None:
    """Cancel the tasks that a call has made by the hundred, before they begin.

    A loop that tries again without end makes thousands in a few seconds, such as one for each ``session.say``; running
    them would hold up all calls for as long once more.
    """
    waiting: dict[object, list[asyncio.Task[Any]]] = {}
    for task in asyncio.all_tasks():
        job, coroutine = find_job(task), task.get_coro()
        if job is not None and job.job.id == job_id and _has_not_begun(coroutine):
            waiting.setdefault(getattr(coroutine, "cr_code", None), []).append(task)
    for tasks in waiting.values():
        if len(tasks) >= DEBRIS:
            for task in tasks:
                task.cancel()


def _has_not_begun(coroutine: Any) -> bool:
    return inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
