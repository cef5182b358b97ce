"""Tells a dispatch that a LiveKit server has made anew from one that somebody wants.

A server with redis builds its rooms anew after a restart, and those of a node that has died on another one. It makes
each room's automatic, token- and room-dispatches once more and launches them, though the agents of the calls come back
by themselves: each caller would hear two.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.dispatches import Dispatch, list_dispatches
from openrtc.errors import one_line, summarize_error
from openrtc.model.decision import DECISION_ATTRIBUTE
from openrtc.settings.config import WorkerSettings

if TYPE_CHECKING:
    from livekit.protocol import agent as proto

logger = logging.getLogger("openrtc.worker")

RELAUNCH_SECONDS = 1.2
"""How long the server may take to answer: it gives up the offer of a job after 3 s, as psrpc does by default."""

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


def is_relaunched(dispatch_id: str, answered: Collection[str], listed: Iterable[Dispatch]) -> bool:
    """Whether a dispatch is one that the server has made anew, for a call that has its agent.

    Args:
        dispatch_id: The dispatch.
        answered: The dispatches that live agents have answered which were asked for in the same way.
        listed: The room's dispatches, as the server lists them.
    """
    made = {one.id: one.created_at for one in listed}
    # What the server lists is as it was when its agent came: then this one is wanted beside it. And what was dispatched
    # to a room that was there already is no part of building the room.
    lost = set(answered) - set(made)
    return bool(lost) and dispatch_id in made and made[dispatch_id] - min(made.values()) < WITH_ROOM_SECONDS


async def ask_whether_relaunched(
    room: str, dispatch_id: str, answered: Collection[str], worker: WorkerSettings
) -> bool:
    """Ask the server whether a dispatch is one that it has made anew; see `is_relaunched`.

    False also where the server does not say so in `RELAUNCH_SECONDS`: two agents are better than none.

    Args:
        room: Name of the room.
        dispatch_id: The dispatch.
        answered: The dispatches that live agents have answered which were asked for in the same way.
        worker: Where the server is.
    """
    try:
        async with asyncio.timeout(RELAUNCH_SECONDS):
            listed = await list_dispatches(room, connection=LiveKitConnection.of(worker))
    except Exception as error:  # whatever keeps it from answering
        late = f"no answer in {RELAUNCH_SECONDS:g} s"
        why = late if isinstance(error, TimeoutError) else one_line(summarize_error(error))
        logger.warning("room %r: whether it gets a second agent cannot be told: %s; it is let in", room, why)
        return False
    return is_relaunched(dispatch_id, answered, listed)
