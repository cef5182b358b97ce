"""`Orders`: what an operator tells a running worker by `openrtc pause`, `resume`, `end` and `drain`.

They come through the socket of `openrtc top`, in whose thread they are taken: an agent can be paused also while the
loop is blocked. What needs the loop is done when it runs again.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

from livekit.protocol import agent as proto

from openrtc.dispatch.connection import LiveKitConnection, open_api
from openrtc.errors import one_line, summarize_error
from openrtc.session.room_deletion import GONE_LOOK_SECONDS, delete_abandoned_room
from openrtc.settings.config import WorkerSettings
from openrtc.suggest import did_you_mean

logger = logging.getLogger("openrtc.worker")

ENDED = "ended by the operator"
HANG_UP_BY_SECONDS = 15.0
"""How long an agent may take to leave the room of a call that is ended, before the room is deleted all the same."""


class Orders:
    """Carries out what an operator orders.

    Args:
        worker: Where the LiveKit server is.
        agents: Returns the names of the worker's agents.
        jobs: Returns the jobs that run now.
        end: Ends a job, given its id and why.
    """

    def __init__(
        self,
        worker: WorkerSettings,
        agents: Callable[[], Collection[str]],
        jobs: Callable[[], Sequence[proto.Job]],
        end: Callable[[str, str], None],
    ) -> None:
        self._worker = worker
        self._agents = agents
        self._jobs = jobs
        self._end = end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain: Callable[[], None] | None = None
        self._drain_all: Callable[[], None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.forget: Callable[[str], dict[str, str]] = lambda _: {"done": "it writes no events into a file"}
        """Lets the worker's file of events have no more of the live calls of a person; set by who writes it."""
        self.describe_agents: Callable[[], list[dict[str, Any]] | None] = lambda: None
        """Returns a row of each agent; set by who knows them."""
        self.paused: frozenset[str] = frozenset()
        """The agents that take no new calls."""

    def follow(self, drain: Callable[[], None], drain_all: Callable[[], None]) -> None:
        """Take orders that need the running loop.

        Args:
            drain: Lets this worker drain.
            drain_all: Lets all workers of its supervisor drain; itself where there is none.
        """
        self._loop, self._drain, self._drain_all = asyncio.get_running_loop(), drain, drain_all

    def why_paused(self, agents: Collection[str]) -> str | None:
        """Return why agents take no new call, or None where they do."""
        paused = sorted(self.paused.intersection(agents))
        return f"agent {paused[0]!r} is paused (openrtc resume {paused[0]})" if paused else None

    def carry_out(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an order, in whichever thread.

        Args:
            order: ``order`` and what that takes: ``pause`` and ``resume`` an ``agent``, ``end`` a ``job_id``,
                ``forget`` an ``identity``, ``drain``, ``drain-all`` and ``agents`` nothing.

        Returns:
            ``done`` with a line that says what is done, or ``refused`` with one that says why nothing is; of
            ``agents`` also these.
        """
        match order:
            case {"order": "pause" | "resume" as what, "agent": str(agent)}:
                return self._pause(agent, what == "pause")
            case {"order": "end", "job_id": str(job_id)}:
                return self._end_call(job_id)
            case {"order": "forget", "identity": str(identity)}:
                return self.forget(identity)
            case {"order": "drain" | "drain-all" as what}:
                return self._begin_drain(self._drain if what == "drain" else self._drain_all)
            case {"order": "agents"}:
                return {"done": "", "agents": self.describe_agents()}
        return {"refused": f"this worker knows no such order: {one_line(str(dict(order)))}"}

    def _pause(self, agent: str, pause: bool) -> dict[str, str]:
        if agent not in self._agents():
            return {
                "refused": f"there is no agent {agent!r} ({did_you_mean(agent, self._agents(), 'see openrtc top')})"
            }
        if (agent in self.paused) == pause:
            return {"done": f"agent {agent!r} {'is paused already' if pause else 'was not paused'}"}
        self.paused = self.paused | {agent} if pause else self.paused - {agent}
        text = "takes no new calls until it is resumed, or the worker restarts" if pause else "takes new calls again"
        logger.warning("agent %r %s", agent, text)
        return {"done": f"agent {agent!r} {text}"}

    def _end_call(self, job_id: str) -> dict[str, str]:
        room = next((job.room.name for job in self._jobs() if job.id == job_id), None)
        if room is None or self._loop is None:
            return {"refused": f"call {job_id} is not live (openrtc top --json shows the calls)"}
        self._start(lambda: self._end_and_hang_up(job_id, room))
        return {"done": f"call {job_id} in room {room!r} is being ended"}

    def _begin_drain(self, drain: Callable[[], None] | None) -> dict[str, str]:
        if self._loop is None or drain is None:
            return {"refused": "it is starting"}
        logger.warning("the operator lets this worker drain")
        self._loop.call_soon_threadsafe(drain, context=contextvars.Context())
        return {"done": f"takes no new calls, and ends when its live ones have ({len(self._jobs())} now)"}

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        def start() -> None:
            task = asyncio.create_task(work(), name="order")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

        assert self._loop is not None
        self._loop.call_soon_threadsafe(start, context=contextvars.Context())

    async def _end_and_hang_up(self, job_id: str, room: str) -> None:
        """End a call, then its room: a caller on the telephone would hear silence until they hang up themselves."""
        fields = {"job_id": job_id, "room": room}
        logger.warning("room %r: %s", room, ENDED, extra=fields)
        self._end(job_id, ENDED)
        loop = asyncio.get_running_loop()
        until = loop.time() + HANG_UP_BY_SECONDS
        # The agent leaves first: livekit's native library keeps a thread of one that the server throws out.
        while any(job.id == job_id for job in self._jobs()) and loop.time() < until:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(GONE_LOOK_SECONDS)
        try:
            async with open_api(LiveKitConnection.of(self._worker)) as server:
                await delete_abandoned_room(server, room)
        except Exception as error:  # whatever it is: mostly a room that is gone
            reason = one_line(summarize_error(error))
            logger.info("room %r: it cannot be deleted: %s", room, reason, extra=fields)
