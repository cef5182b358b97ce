"""`EmptyRooms`: ends calls with nobody in them, but none to which somebody has just come.

The LiveKit server tells an agent of people who publish nothing up to 3 s late, when they come and when they come back.
Asked for it, it says at once who is in a room.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from openrtc.dispatch.room_participants import list_participants
from openrtc.session.participant import is_person
from openrtc.settings.config import WorkerSettings

logger = logging.getLogger("openrtc.worker")

UNKNOWN_SECONDS = 4.0
"""After so long an agent knows of everybody who had come to its room."""


class EmptyRooms:
    """Ends calls with nobody in them, once the LiveKit server has said that nobody is there.

    Args:
        worker: Where the server is.
        end: Ends a job, given its id and why.
        running: Returns the ids of the jobs that run now.
    """

    def __init__(
        self, worker: WorkerSettings, end: Callable[[str, str], None], running: Callable[[], Collection[str]]
    ) -> None:
        self._worker = worker
        self._end = end
        self._running = running
        self._spared_for: dict[str, set[str]] = {}

    async def end(self, job_id: str, room: str, reason: str, spare: Callable[[], None]) -> bool:
        """End a call, or spare it; whether it was ended.

        It is spared once for each person: whom its agent does not talk to after `UNKNOWN_SECONDS`, it never will.

        Args:
            job_id: LiveKit's id of the job.
            room: Name of the room.
            reason: Why it is ended.
            spare: Called instead where somebody is there.
        """
        fields = {"job_id": job_id, "room": room}
        people = await self._list_people(room)
        running = self._running()
        self._spared_for = {one: sids for one, sids in self._spared_for.items() if one in running}
        if people - self._spared_for.get(job_id, set()):
            self._spared_for.setdefault(job_id, set()).update(people)
            logger.info("room %r: somebody has just come: its call goes on", room, extra=fields)
            spare()
            return False
        logger.info("room %r: %s: its call is ended", room, reason, extra=fields)
        self._end(job_id, reason)
        return True

    async def _list_people(self, room: str) -> set[str]:
        """Return the ids of the people in a room; none where the server does not say."""
        return {one.sid for one in await list_participants(room, self._worker) if is_person(one)}
