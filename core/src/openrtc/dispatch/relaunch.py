"""Tells a dispatch that a LiveKit server has made anew from one that somebody wants.

A server with redis builds its rooms anew after a restart, and those of a node that has died on another one. It makes
each room's automatic, token- and room-dispatches once more and launches them, though the agents of the calls come back
by themselves: each caller would hear two.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import hmac
import logging
import math
import weakref
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.dispatches import list_dispatches
from openrtc.errors import one_line, summarize_error
from openrtc.model.decision import DECISION_ATTRIBUTE
from openrtc.settings.config import WorkerSettings

if TYPE_CHECKING:
    from livekit.protocol import agent as proto

logger = logging.getLogger("openrtc.worker")

RELAUNCH_SECONDS = 1.2
"""How long the server may take to answer: it gives up the offer of a job after 3 s, as psrpc does by default."""

LOOK_EVERY_SECONDS = 0.2
"""How long after a look at a room's dispatches the next one begins, for all who ask meanwhile."""

MOST_ROOMS = 1000
"""Of how many rooms it is remembered what the server has listed: only those with several agents were looked at."""

WITH_ROOM_SECONDS = 1.0
"""How much younger than a room's first dispatch one may be that was made with the room: they are made in one go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredDispatch:
    """A dispatch that an agent has answered.

    Args:
        id: LiveKit's id of the dispatch.
        room_sid: LiveKit's id of the room; empty where it is not known.
        request: What was asked for, as `sign_request` puts it.
    """

    id: str
    room_sid: str
    request: str

    @classmethod
    def of(cls, job: proto.Job, secret: str) -> Self:
        """Return the dispatch of a job.

        Args:
            job: The job.
            secret: API secret.
        """
        return cls(id=job.dispatch_id, room_sid=job.room.sid, request=sign_request(job, secret))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return what `to_json` gave, perhaps in another process."""
        return cls(id=value["id"], room_sid=value["room_sid"], request=value["request"])

    def to_json(self) -> dict[str, str]:
        """Return it as ``openrtc top --json`` shows it."""
        return asdict(self)


def sign_request(job: proto.Job, secret: str) -> str:
    """Return what tells whether two jobs were asked for in the same way: agent name, metadata and attributes.

    Callers see it, and metadata may be private: without the secret, it cannot be guessed from this.

    Args:
        job: The job.
        secret: API secret.
    """
    attributes = sorted(item for item in job.attributes.items() if item[0] != DECISION_ATTRIBUTE)
    asked = repr((job.agent_name, getattr(job, "deployment", ""), job.metadata, attributes))
    return hmac.new(secret.encode(), asked.encode(), hashlib.sha256).hexdigest()[:16]


def is_relaunched(dispatch_id: str, answered: Collection[str], made: Mapping[str, float]) -> bool:
    """Whether a dispatch is one that the server has made anew, for a call that has its agent.

    Args:
        dispatch_id: The dispatch.
        answered: The dispatches that live agents have answered which were asked for in the same way.
        made: The room's dispatches, as the server lists them, and when each was made.
    """
    # What the server lists is as it was when its agent came: then this one is wanted beside it. And what was dispatched
    # to a room that was there already is no part of building the room.
    lost = set(answered) - set(made)
    return bool(lost) and dispatch_id in made and made[dispatch_id] - min(made.values()) < WITH_ROOM_SECONDS


async def ask_whether_relaunched(
    room: str, dispatch_id: str, answered: Collection[str], worker: WorkerSettings
) -> bool:
    """Ask the server whether a dispatch is one that it has made anew; see `is_relaunched`.

    It is asked once for all who want to know of a room within `LOOK_EVERY_SECONDS`, and not again whether two agents
    belong together.

    False also where the server does not say so in `RELAUNCH_SECONDS`: two agents are better than none.

    Args:
        room: Name of the room.
        dispatch_id: The dispatch.
        answered: The dispatches that live agents have answered which were asked for in the same way.
        worker: Where the server is.
    """
    looks = _looks.setdefault(asyncio.get_running_loop(), Looks())
    try:
        async with asyncio.timeout(RELAUNCH_SECONDS):
            return await looks.tell_whether_relaunched(room, dispatch_id, answered, worker)
    except Exception as error:  # whatever keeps it from answering
        late = f"no answer in {RELAUNCH_SECONDS:g} s"
        why = late if isinstance(error, TimeoutError) else one_line(summarize_error(error))
        logger.warning("room %r: whether it gets a second agent cannot be told: %s; it is let in", room, why)
        return False


class _Look:
    """One look at a room's dispatches, in no call's name: the end of the call that asks first must not end it."""

    def __init__(self, room: str, worker: WorkerSettings, wait: float) -> None:
        self.began = math.inf
        self._room, self._worker, self._wait = room, worker, wait
        create_task = asyncio.get_running_loop().create_task
        self.made = contextvars.Context().run(create_task, self._list(), name="look-at-dispatches")
        """The dispatches, and when each was made."""

    async def _list(self) -> dict[str, float]:
        await asyncio.sleep(self._wait)
        self.began = asyncio.get_running_loop().time()
        async with asyncio.timeout(RELAUNCH_SECONDS):
            listed = await list_dispatches(self._room, connection=LiveKitConnection.of(self._worker))
        return {one.id: one.created_at for one in listed}


class Looks:
    """What the server has listed of rooms' dispatches, for all who ask in one event loop."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], _Look] = OrderedDict()

    async def tell_whether_relaunched(
        self, room: str, dispatch_id: str, answered: Collection[str], worker: WorkerSettings
    ) -> bool:
        """Return whether a dispatch is one that the server has made anew; raises what keeps the server from answering.

        Args:
            room: Name of the room.
            dispatch_id: The dispatch.
            answered: The dispatches that live agents have answered which were asked for in the same way.
            worker: Where the server is.
        """
        now, unknown, key = asyncio.get_running_loop().time(), set(answered), (worker.url, room)
        look = self._last.get(key) or self._begin_look(key, worker)
        while True:
            made = await asyncio.shield(look.made)
            if dispatch_id in made:  # once listed together, they are both wanted, whatever is lost later
                unknown -= made.keys()
            if not unknown or look.began >= now:
                return is_relaunched(dispatch_id, unknown, made)
            newest = self._last.get(key)
            again = max(0.0, look.began + LOOK_EVERY_SECONDS - asyncio.get_running_loop().time())
            look = newest if newest and newest is not look else self._begin_look(key, worker, again)

    def _begin_look(self, key: tuple[str, str], worker: WorkerSettings, wait: float = 0.0) -> _Look:
        look = self._last[key] = _Look(key[1], worker, wait)
        self._last.move_to_end(key)
        while len(self._last) > MOST_ROOMS:
            self._last.popitem(last=False)

        def forget_failure(made: asyncio.Future[dict[str, float]]) -> None:
            if (made.cancelled() or made.exception()) and self._last.get(key) is look:
                del self._last[key]

        look.made.add_done_callback(forget_failure)
        return look


_looks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Looks] = weakref.WeakKeyDictionary()
