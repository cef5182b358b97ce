"""`SecondAgents`: notices the jobs by which a call would get a second agent, when its server has been restarted."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable

from livekit.protocol import agent as proto

from openrtc.dispatch.relaunch import RELAUNCH_SECONDS, AnsweredDispatch, ask_whether_relaunched
from openrtc.errors import one_line, summarize_error
from openrtc.observe.snapshots import has_others, read_snapshots
from openrtc.settings.config import WorkerSettings

logger = logging.getLogger("openrtc.worker")

OLD_ROOM_SECONDS = 2.0
"""How old a room is at least that a server has built anew: an agent has come to it since it was made."""


class SecondAgents:
    """Notices the jobs by which a call would get a second agent; see `openrtc.dispatch.relaunch`.

    Nobody is asked about a job for which no such call is known, so that no other job waits.

    Args:
        worker: Where the server is.
        answered: Returns the dispatches of this worker's live calls, given a room's id.
    """

    def __init__(self, worker: WorkerSettings, answered: Callable[[str], Iterable[AnsweredDispatch]]) -> None:
        self._worker = worker
        self._answered = answered

    async def why_second(self, job: proto.Job) -> str | None:
        """Return why a job would bring a second agent into a call, None for any other job or where nobody can tell."""
        try:
            return await self._find_reason(job)
        except Exception as error:  # such as a worker of another version: without an answer, the job would be lost
            why = one_line(summarize_error(error))
            logger.warning("room %r: whether it gets a second agent cannot be told: %s", job.room.name, why)
            return None

    async def _find_reason(self, job: proto.Job) -> str | None:
        if not (job.dispatch_id and job.room.sid):
            return None
        asked = AnsweredDispatch.of(job, self._worker.api_secret)
        here = self._find_same(asked, self._answered(asked.room_sid))
        there = set() if here or not is_in_old_room(job) else await self._ask_workers(job.room.name, asked)
        if not (here or there):
            return None
        if not await ask_whether_relaunched(job.room.name, asked.id, here | there, self._worker):
            return None
        if here and not self._find_same(asked, self._answered(asked.room_sid)):  # it has ended meanwhile
            return None
        where = "here" if here else "in another worker of this machine"
        return f"its agent is live {where}, and comes back by itself: the server has only made its dispatch anew"

    async def _ask_workers(self, room: str, asked: AnsweredDispatch) -> set[str]:
        if not has_others(os.getpid()):
            return set()
        try:
            async with asyncio.timeout(RELAUNCH_SECONDS / 2):
                snapshots = await asyncio.to_thread(read_snapshots, os.getpid())
        except TimeoutError:
            logger.warning("room %r: the workers of this machine do not say whether its agent is live", room)
            return set()
        found = (one for snapshot in snapshots for one in snapshot.get("dispatches", ()))
        return self._find_same(asked, map(AnsweredDispatch.from_json, found))

    def _find_same(self, asked: AnsweredDispatch, answered: Iterable[AnsweredDispatch]) -> set[str]:
        same = (one for one in answered if (one.room_sid, one.request) == (asked.room_sid, asked.request))
        return {one.id for one in same} - {"", asked.id}


def is_in_old_room(job: proto.Job) -> bool:
    """Whether a job's room may have been built anew: it is old, and nobody has come back to it yet.

    Both times are the server's, so that this machine's clock does not count.
    """
    created = job.room.creation_time_ms / 1e3 or job.room.creation_time
    return not job.room.num_participants and job.state.started_at / 1e9 - created >= OLD_ROOM_SECONDS
