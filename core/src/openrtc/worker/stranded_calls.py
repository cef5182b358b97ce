"""`StrandedCalls`: asks for another agent where a call goes on on a node of a cluster, and its worker's own has died.

An agent talks to its room's node through the node that its worker is connected to. When that one dies and the address
leads to no other one, the agent cannot come back, and a caller on a living node would hear nobody any more. Behind a
load balancer this never happens: the agent comes back through another node.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence

from livekit import api
from livekit.protocol import agent as proto

from openrtc.dispatch.connection import LiveKitConnection, open_api, strip_credentials
from openrtc.dispatch.dispatches import list_dispatches, room_exists
from openrtc.errors import one_line, summarize_error
from openrtc.model.decision import DECISION_ATTRIBUTE
from openrtc.observe.snapshots import read_snapshots
from openrtc.session.participant import is_agent_of, is_person
from openrtc.settings.config import WorkerSettings

logger = logging.getLogger("openrtc.worker")

LOST_SECONDS = 5.0
"""How long the server may be gone: one that is restarted has its calls back by then."""

STRANDED_SECONDS = 1.0
"""Between two looks at the connection."""

SERVER_SECONDS = 3.0
"""How long a server has to answer."""


class StrandedCalls:
    """Asks for other agents in the rooms of stranded calls, through the servers of this machine's other workers.

    Args:
        worker: Where this worker's server is.
        connected: Whether this worker has a connection to it.
        jobs: Returns the jobs that run now.
        end: Ends a job, given its id and why.
    """

    def __init__(
        self,
        worker: WorkerSettings,
        connected: Callable[[], bool],
        jobs: Callable[[], Sequence[proto.Job]],
        end: Callable[[str, str], None],
    ) -> None:
        self._worker = worker
        self._connected = connected
        self._jobs = jobs
        self._end = end
        self._handed_over: set[str] = set()

    async def watch(self) -> None:
        """Look every `STRANDED_SECONDS`, until cancelled."""
        connected_at = time.monotonic()
        while True:
            await asyncio.sleep(STRANDED_SECONDS)
            if self._connected():
                connected_at = time.monotonic()
            elif time.monotonic() - connected_at >= LOST_SECONDS:
                await self.hand_over()

    async def hand_over(self) -> None:
        """Ask for another agent for each stranded call; nothing where the server can be reached again."""
        stranded = [job for job in self._jobs() if job.dispatch_id and job.id not in self._handed_over]
        if not stranded or await self._is_reachable():
            return
        snapshots = await asyncio.to_thread(read_snapshots, os.getpid())
        others = {str(snapshot.get("url", "")) for snapshot in snapshots} - {"", strip_credentials(self._worker.url)}
        for url in sorted(others):
            connection = LiveKitConnection.of(self._worker, url=url)
            await asyncio.gather(*(self._try_to_hand_over(job, connection) for job in stranded))

    async def _is_reachable(self) -> bool:
        try:
            async with asyncio.timeout(SERVER_SECONDS):
                await room_exists("", connection=LiveKitConnection.of(self._worker))
        except Exception as error:  # whatever it is, the agents' connections fail by it, too
            logger.debug("the server cannot be reached: %s", one_line(summarize_error(error)))
            return False
        return True

    async def _try_to_hand_over(self, job: proto.Job, connection: LiveKitConnection) -> None:
        try:
            async with asyncio.timeout(SERVER_SECONDS):
                # A room that a living node holds has the dispatch still; one that was on the dead node gets its agent
                # when it is built anew.
                listed = await list_dispatches(job.room.name, connection=connection)
                if job.dispatch_id not in {one.id for one in listed} or not await _replace_agent(job, connection):
                    return
        except Exception as error:  # whatever it is: the call is looked at again, by this address or another one
            why = one_line(summarize_error(error))
            logger.debug("room %r: no other agent through %s: %s", job.room.name, connection.address, why)
            return
        self._handed_over.add(job.id)
        lost, fields = strip_credentials(self._worker.url), {"job_id": job.id, "room": job.room.name}
        text = "room %r: %s cannot be reached, and the call goes on at %s: another agent was asked for, this one leaves"
        logger.error(text, job.room.name, lost, connection.address, extra=fields)
        self._end(job.id, f"{lost} cannot be reached; another agent was asked for")


async def _replace_agent(job: proto.Job, connection: LiveKitConnection) -> bool:
    """Ask for another agent like that of a job, where somebody is there; whether it was asked for."""
    room = job.room.name
    async with open_api(connection) as server:
        there = (await server.room.list_participants(api.ListParticipantsRequest(room=room))).participants
        if not any(map(is_person, there)):
            return False
        for one in there:
            if is_agent_of(one.identity, job):
                await server.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=one.identity))
        attributes = {name: value for name, value in job.attributes.items() if name != DECISION_ATTRIBUTE}
        await server.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(
                room=room,
                agent_name=job.agent_name,
                metadata=job.metadata,
                attributes=attributes,
                deployment=job.deployment,
            )
        )
    return True
