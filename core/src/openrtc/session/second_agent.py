"""`SecondAgent`: lets an agent leave a call that has its agent already, once it sees that one in the room.

Workers of other machines cannot be asked before a job is taken; see `openrtc.worker.second_agents`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from livekit import rtc
from livekit.agents import JobContext

from openrtc.dispatch.relaunch import AnsweredDispatch, ask_whether_relaunched
from openrtc.settings.config import WorkerSettings

logger = logging.getLogger("openrtc.worker")

DISPATCH_ATTRIBUTE = "openrtc.dispatch"
"""The attribute of an agent's participant that says which dispatch it has answered, and what that asked for."""


def describe_dispatch(answered: AnsweredDispatch) -> dict[str, str]:
    """Return what an agent's participant says of its dispatch, for another agent that comes into the room."""
    return {DISPATCH_ATTRIBUTE: f"{answered.id} {answered.request}"}


class SecondAgent:
    """Knows whether an agent is the second one of its call.

    Args:
        context: LiveKit's context of the job.
        worker: Where the LiveKit server is.
    """

    def __init__(self, context: JobContext, worker: WorkerSettings) -> None:
        self._context = context
        self._worker = worker
        self._own = AnsweredDispatch.of(context.job, worker.api_secret)
        self._asking: set[asyncio.Task[None]] = set()
        self._leaves = False

    def watch(self) -> None:
        """Let the agent leave when the first one comes back after it."""
        self._context.room.on("participant_connected", self._on_arrival)

    async def why_leave(self) -> str:
        """Return why the agent leaves the room that it has just joined; empty where it stays, or leaves already."""
        return await self._ask(self._context.room.remote_participants.values())

    async def _ask(self, participants: Iterable[rtc.RemoteParticipant]) -> str:
        first = {dispatch: one for one in participants if (dispatch := self._find_same_dispatch(one))}
        room = self._context.job.room.name
        if not (first and await ask_whether_relaunched(room, self._own.id, first, self._worker)):
            return ""
        if self._leaves:  # it has seen the first one twice: in the room, and arriving
            return ""
        self._leaves = True
        identities = ", ".join(one.identity for one in first.values())
        return (
            f"room {room!r}: the call has its agent, {identities}: the server has only made its dispatch anew, and "
            "this one leaves"
        )

    def _find_same_dispatch(self, participant: rtc.RemoteParticipant) -> str:
        """Return the dispatch of an agent that was asked for in the same way; empty for anybody else."""
        if participant.kind != rtc.ParticipantKind.PARTICIPANT_KIND_AGENT or not self._own.id:
            return ""
        dispatch, _, request = participant.attributes.get(DISPATCH_ATTRIBUTE, "").partition(" ")
        return dispatch if request == self._own.request and dispatch != self._own.id else ""

    def _on_arrival(self, participant: rtc.RemoteParticipant) -> None:
        if self._find_same_dispatch(participant):
            asking = asyncio.create_task(self._leave_if_second(participant), name="second-agent")
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

    async def _leave_if_second(self, first: rtc.RemoteParticipant) -> None:
        if why := await self._ask([first]):
            logger.warning("%s", why, extra={"job_id": self._context.job.id})
            self._context.shutdown(why)
