"""`Admission`: takes or turns down each job request, and what a job carries to the agent that takes it."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from livekit.agents import AssignmentTimeoutError, JobRequest
from livekit.protocol import agent as proto

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import LoadedAgent
from openrtc.discovery.loaded_distributions import Drift
from openrtc.dispatch.marks import MARK_ATTRIBUTE, check_mark
from openrtc.dispatch.relaunch import AnsweredDispatch
from openrtc.errors import OpenRTCError
from openrtc.model.decision import DECISION_ATTRIBUTE, Decision
from openrtc.model.metadata import ROUTING_KEYS, fit_metadata
from openrtc.model.request import RouteRequest, is_name, parse_metadata
from openrtc.observe.events import CallRejected, CallRouted
from openrtc.runtime.runtime import Runtime
from openrtc.session.participant import build_participant
from openrtc.session.second_agent import describe_dispatch
from openrtc.settings.config import Config
from openrtc.worker.agent_answer import ask_agent
from openrtc.worker.waiting_calls import WaitingCalls

routing_log = logging.getLogger("openrtc.routing")

_OWN_ATTRIBUTES = (DECISION_ATTRIBUTE, MARK_ATTRIBUTE)
"""Of a job, which are for OpenRTC alone."""


async def _find_no_second(_: proto.Job) -> None:
    return None


class Admission:
    """Takes job requests while there are free slots, routes them, and answers with the agent's name.

    Args:
        runtime: What the calls share.
        max_sessions: How many sessions run at once.
        active: Returns the jobs that run now.
        waiting: Which of them hold no slot.
        why_second: Returns why a job would bring a second agent into a call; by default, none does.
        why_paused: Returns why agents take no new call; by default, all do.
        why_broken: Returns why no process can be had for the calls of agents; by default, one can.
    """

    def __init__(
        self,
        runtime: Runtime,
        max_sessions: int,
        active: Callable[[], Sequence[proto.Job]],
        waiting: WaitingCalls,
        why_second: Callable[[proto.Job], Awaitable[str | None]] = _find_no_second,
        why_paused: Callable[[Collection[str]], str | None] = lambda _: None,
        why_broken: Callable[[Collection[str]], str | None] = lambda _: None,
    ) -> None:
        self._runtime = runtime
        self._max_sessions = max_sessions
        self._active = active
        self._waiting = waiting
        self._why_second = why_second
        self._why_paused = why_paused
        self._why_broken = why_broken
        self._told: set[tuple[str, Drift]] = set()
        self._accepting = 0
        self._accepting_by_agent: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many slots are taken, including the jobs that were accepted but have not started."""
        return self._waiting.count_attended(self._active()) + self._accepting

    async def answer(self, request: JobRequest) -> None:
        """Accept or reject one job request."""
        # First, also when the worker is full: another worker shall not take the job either.
        if reason := await self._why_second(request.job):
            await self._reject(request, "second_agent", reason, for_good=True)
            return
        if self.taken >= self._max_sessions:
            await self._reject(request, "full", f"all {self._max_sessions} sessions are taken")
            return
        # A job is active only when livekit-agents has launched it, a round trip after the accept: without counting
        # what is on its way, a burst of requests would all find the same slot free.
        self._accepting += 1
        try:
            await self._route(request)
        finally:
            self._accepting -= 1

    async def _route(self, request: JobRequest) -> None:
        started = time.perf_counter()
        asked = read_request(request.job, self._runtime.config)
        report_passed_over(asked)
        decision = await self._runtime.router.route(asked)
        ms = (time.perf_counter() - started) * 1000
        if decision.rejected is not None:
            log_decision(request.job, decision)
            await self._reject(request, "routing", decision.rejected)
            return
        attach_decision(request.job, decision)
        if reason := why_bad_metadata(asked, decision, self._runtime.catalog):
            await self._reject(request, "metadata", reason)
            return
        if reason := self._why_paused(decision.agents):
            await self._reject(request, "paused", reason)
            return
        if reason := self._why_broken(decision.agents):
            await self._reject(request, "broken", reason)
            return
        agent, counted = decision.agents[0], self._runtime.catalog.limited_agents(decision.agents)
        if reason := next(filter(None, map(self._why_agent_full, sorted(counted))), None):
            await self._reject(request, "agent_full", reason)
            return
        self._accepting_by_agent.update(counted)
        spec = self._runtime.catalog.get(agent).spec
        is_cast = self._runtime.catalog.resolve_cast(decision.agents) is not None
        # Of several agents, none answers for the others.
        on_request = spec.on_request if spec and len(decision.agents) == 1 else None
        try:
            participant = build_participant(self._runtime.catalog, decision, request.id)
            answered = AnsweredDispatch.of(request.job, self._runtime.config.worker.api_secret)
            participant["attributes"] |= describe_dispatch(answered)

            async def accept(**arguments: Any) -> None:
                if is_cast:
                    arguments["identity"] = participant["identity"]  # by which its members know each other
                request.job.state.participant_identity = arguments["identity"]
                self._note_accepted(request, decision, counted, ms)
                await request.accept(**arguments)

            if on_request is None:
                await accept(**participant)
            elif refusal := await ask_agent(on_request, request, accept, participant):
                reason = f"agent {agent!r}: {refusal.reason}"
                await self._reject(request, "on_request", reason, for_good=refusal.for_good)
        except AssignmentTimeoutError:
            routing_log.error("room %r: the server did not assign the accepted job in time", request.room.name)
        finally:
            self._accepting_by_agent.subtract(counted)

    def _note_accepted(self, request: JobRequest, decision: Decision, counted: Collection[str], ms: float) -> None:
        agent = decision.agents[0]
        distribution = find_distribution(self._runtime.catalog.get(agent))
        drift = self._runtime.distributions.find_drift(distribution)
        self._runtime.events.emit(
            CallRouted(
                job_id=request.job.id,
                room=request.room.name,
                agent=agent,
                distribution=distribution,
                version=self._runtime.distributions.version_of(distribution),
                drift=str(drift) if drift else "",
                rule=decision.rule,
                reason=decision.reason,
                ms=ms,
            )
        )
        self._make_room(counted)
        if drift and (agent, drift) not in self._told:
            self._told.add((agent, drift))
            text = "agent %r: %s; new calls go on with the code that is loaded (restart or roll it)"
            routing_log.warning(text, agent, drift)
        log_decision(request.job, decision)  # after the event, from which each log line of the call knows its agent

    def _why_agent_full(self, agent: str) -> str | None:
        limit = self._runtime.get_session_limit(agent)
        if limit is None:
            return None
        running = sum(map(self._waiting.holds_slot, self._list_jobs_of(agent)))
        if running + self._accepting_by_agent[agent] < limit:
            return None
        return f"all {limit} sessions of agent {agent!r} are taken"

    def _make_room(self, agents: Collection[str]) -> None:
        # A worker has no more sessions than it may, in use or not, and an agent neither.
        self._waiting.make_room(self._active(), self._max_sessions - self._accepting)
        for agent in agents:
            if (limit := self._runtime.get_session_limit(agent)) is not None:
                self._waiting.make_room(self._list_jobs_of(agent), limit - self._accepting_by_agent[agent])

    def _list_jobs_of(self, agent: str) -> list[proto.Job]:
        counted = self._runtime.catalog.limited_agents
        decisions = ((job, read_decision(job)) for job in self._active())
        return [job for job, decision in decisions if decision and agent in counted(decision.agents)]

    async def _reject(self, request: JobRequest, cause: str, reason: str, *, for_good: bool = False) -> None:
        room = request.room.name
        if cause != "routing":  # that has been logged with its trace
            routing_log.warning("room %r: rejected: %s", room, reason, extra={"job_id": request.job.id, "room": room})
        self._runtime.events.emit(CallRejected(job_id=request.job.id, room=room, cause=cause, reason=reason))
        # Mostly another worker may have a free slot, or the agent that this one lacks.
        await request.reject(terminate=for_good)


def read_request(job: proto.Job, config: Config) -> RouteRequest:
    """Return what a LiveKit job says about a call.

    Args:
        job: The job.
        config: Which secrets make marks that count.
    """
    return RouteRequest.parse(
        room_name=job.room.name,
        job_id=job.id,
        agent_name=job.agent_name,
        attributes={key: value for key, value in job.attributes.items() if key not in _OWN_ATTRIBUTES},
        job_metadata=job.metadata,
        room_metadata=job.room.metadata,
        signed=check_mark(job, config.mark_secrets),
    )


def why_bad_metadata(request: RouteRequest, decision: Decision, catalog: Catalog) -> str | None:
    """Return why what a dispatch carries is not what an agent that was chosen wants; None where it is.

    Args:
        request: The call.
        decision: Who was chosen.
        catalog: The agents.
    """
    cast, chosen = catalog.resolve_cast(decision.agents), catalog.get(decision.agents[0]).spec
    for spec in [chosen, *(member.spec for member in (cast.members if cast else ()))]:
        try:
            fit_metadata(request, spec)
        except OpenRTCError as error:
            return f"agent {spec.name if spec else ''!r}: {error.message}"
    return None


def report_passed_over(request: RouteRequest) -> None:
    """Log what of a call's metadata is passed over, in one line for each."""
    for where, raw, read in (
        ("job", request.job_metadata_raw, request.job_metadata),
        ("room", request.room_metadata_raw, request.room_metadata),
    ):
        problem = parse_metadata(raw)[1] if read is None else _find_no_name(read)
        if problem:
            fields = {"job_id": request.job_id, "room": request.room_name}
            routing_log.info("room %r: %s metadata: %s", request.room_name, where, problem, extra=fields)


def _find_no_name(metadata: Mapping[str, Any]) -> str | None:
    wrong = [key for key in ROUTING_KEYS if metadata.get(key) is not None and not is_name(metadata[key])]
    return f"{wrong[0]!r} is no name of an agent: ignored" if wrong else None


def attach_decision(job: proto.Job, decision: Decision) -> None:
    """Put the decision on the job."""
    job.attributes[DECISION_ATTRIBUTE] = json.dumps(decision.to_json())


def read_decision(job: proto.Job) -> Decision | None:
    """Return the decision that a job carries, None where there is none yet."""
    carried = job.attributes.get(DECISION_ATTRIBUTE)
    return Decision.from_json(carried) if carried else None


def find_distribution(agent: LoadedAgent) -> str:
    """Return the distribution that brings an agent, as events name it: empty for one registered in code."""
    return agent.entry.distribution if agent.entry else ""


def log_decision(job: proto.Job, decision: Decision) -> None:
    """Log a decision once, with its trace at debug level."""
    room, fields = job.room.name, {"job_id": job.id, "room": job.room.name}
    if decision.rejected is not None:
        routing_log.warning("room %r: rejected by %s: %s", room, decision.rule, decision.rejected, extra=fields)
    else:
        routing_log.info("room %r: %s by %s: %s", room, decision.name, decision.rule, decision.reason, extra=fields)
    for line in decision.trace:
        if line.is_fault:
            text = "room %r: router %s %s; the next rule was asked"
            routing_log.warning(text, room, line.rule, line.reason, extra=fields)
        routing_log.debug("  %-16s %s (%.2f ms)", line.rule, line.reason, line.ms, extra=fields)
