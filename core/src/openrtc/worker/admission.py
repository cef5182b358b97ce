"""`Admission`: takes or turns down each job request, and what a job carries to the agent that takes it."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from livekit.agents import AssignmentTimeoutError, JobRequest
from livekit.protocol import agent as proto

from openrtc.observe.events import CallRejected, CallRouted
from openrtc.plugins.loaded import LoadedAgent
from openrtc.routing.decision import Decision
from openrtc.routing.request import RouteRequest
from openrtc.worker.participant import participant_of
from openrtc.worker.runtime import Runtime

routing_log = logging.getLogger("openrtc.routing")

DECISION_ATTRIBUTE = "openrtc.decision"
"""Carries the decision with the job, also into another thread or process."""


def request_of(job: proto.Job) -> RouteRequest:
    """Return what a LiveKit job tells about a call."""
    return RouteRequest.parse(
        room_name=job.room.name,
        job_id=job.id,
        agent_name=job.agent_name,
        attributes={key: value for key, value in job.attributes.items() if key != DECISION_ATTRIBUTE},
        job_metadata=job.metadata,
        room_metadata=job.room.metadata,
    )


class Admission:
    """Takes job requests while there are free slots, routes them, and answers with the agent's name.

    Args:
        runtime: What the calls share.
        max_sessions: How many sessions run at once.
        active: Returns the jobs that run now.
    """

    def __init__(self, runtime: Runtime, max_sessions: int, active: Callable[[], Sequence[proto.Job]]) -> None:
        self._runtime = runtime
        self._max_sessions = max_sessions
        self._active = active
        self._accepting = 0
        self._accepting_by_agent: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many slots are taken, including the jobs that were accepted but have not started."""
        return len(self._active()) + self._accepting

    async def answer(self, request: JobRequest) -> None:
        """Accept or reject one job request."""
        if self.taken >= self._max_sessions:
            await self._reject(request, "full", f"all {self._max_sessions} sessions are taken")
            return
        self._accepting += 1
        try:
            await self._route(request)
        finally:
            self._accepting -= 1

    async def _route(self, request: JobRequest) -> None:
        started = time.perf_counter()
        decision = await self._runtime.router.route(request_of(request.job))
        ms = (time.perf_counter() - started) * 1000
        if decision.rejected is not None:
            log_decision(request.job, decision)
            await self._reject(request, "routing", decision.rejected)
            return
        attach_decision(request.job, decision)
        agent, counted = decision.agents[0], self._runtime.catalog.counted(decision.agents)
        if reason := next(filter(None, map(self._why_agent_full, sorted(counted))), None):
            await self._reject(request, "agent_full", reason)
            return
        self._runtime.events.emit(
            CallRouted(
                job_id=request.job.id,
                room=request.room.name,
                agent=agent,
                distribution=distribution_of(self._runtime.catalog.get(agent)),
                rule=decision.rule,
                reason=decision.reason,
                ms=ms,
            )
        )
        self._accepting_by_agent.update(counted)
        log_decision(request.job, decision)  # after the event, which lets each line of the call tell its agent
        try:
            await request.accept(**participant_of(self._runtime.catalog, decision, request.id))
        except AssignmentTimeoutError:
            routing_log.error("room %r: the server did not assign the accepted job in time", request.room.name)
        finally:
            self._accepting_by_agent.subtract(counted)

    def _why_agent_full(self, agent: str) -> str | None:
        limit = self._runtime.session_limit(agent)
        if limit is None:
            return None
        counted = self._runtime.catalog.counted
        running = sum(agent in counted(_agents_of(job)) for job in self._active())
        if running + self._accepting_by_agent[agent] < limit:
            return None
        return f"all {limit} sessions of agent {agent!r} are taken"

    async def _reject(self, request: JobRequest, cause: str, reason: str) -> None:
        room = request.room.name
        if cause != "routing":  # that has been logged with its trace
            routing_log.warning("room %r: rejected: %s", room, reason, extra={"job_id": request.job.id, "room": room})
        self._runtime.events.emit(CallRejected(job_id=request.job.id, room=room, cause=cause, reason=reason))
        # Another worker may have a free slot, or the agent that this one lacks.
        await request.reject(terminate=False)


def distribution_of(agent: LoadedAgent) -> str:
    """Return the distribution that brings an agent; empty for one registered in code."""
    return agent.entry.distribution if agent.entry else ""


def attach_decision(job: proto.Job, decision: Decision) -> None:
    """Put the decision on the job."""
    job.attributes[DECISION_ATTRIBUTE] = json.dumps(decision.to_json())


def _agents_of(job: proto.Job) -> tuple[str, ...]:
    carried = job.attributes.get(DECISION_ATTRIBUTE)
    return Decision.from_json(carried).agents if carried else ()


def log_decision(job: proto.Job, decision: Decision) -> None:
    """Log a decision once, with its trace at debug level."""
    room, fields = job.room.name, {"job_id": job.id, "room": job.room.name}
    if decision.rejected is not None:
        routing_log.warning("room %r: rejected by %s: %s", room, decision.rule, decision.rejected, extra=fields)
    else:
        routing_log.info("room %r: %s by %s: %s", room, decision.name, decision.rule, decision.reason, extra=fields)
    for line in decision.trace:
        if line.is_fault:
            said = "room %r: router %s %s; the next rule was asked"
            routing_log.warning(said, room, line.rule, line.reason, extra=fields)
        routing_log.debug("  %-16s %s (%.2f ms)", line.rule, line.reason, line.ms, extra=fields)
