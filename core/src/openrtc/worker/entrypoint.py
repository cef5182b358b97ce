"""What livekit-agents calls: one function for every job request, one for every job."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from livekit.agents import AssignmentTimeoutError, JobContext, JobProcess, JobRequest, get_job_context
from livekit.protocol import agent as proto

from openrtc.call import Call
from openrtc.config import Config
from openrtc.errors import OpenRTCError
from openrtc.observe.events import CallRejected, CallRouted
from openrtc.plugins.loaded import LoadedAgent
from openrtc.routing.decision import Decision
from openrtc.routing.request import RouteRequest
from openrtc.worker.containment import contain_exits
from openrtc.worker.failure import CallFailed, report_failure, tell_upstream_errors
from openrtc.worker.live_call import LiveCall
from openrtc.worker.runtime import Runtime, build_runtime
from openrtc.worker.session import run_session
from openrtc.worker.shielded_connect import RoomGone

logger = logging.getLogger("openrtc.worker")
routing_log = logging.getLogger("openrtc.routing")

DECISION_ATTRIBUTE = "openrtc.decision"
"""Carries the decision with the job, also into another thread or process."""

_runtime: Runtime | None = None
"""What the calls of this process share. Global because livekit-agents takes entrypoints that can be pickled by name."""


def use_runtime(runtime: Runtime | None) -> None:
    """Set what the calls of this process share."""
    global _runtime
    _runtime = runtime


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
        active: Returns how many sessions run now.
    """

    def __init__(self, runtime: Runtime, max_sessions: int, active: Callable[[], int]) -> None:
        self._runtime = runtime
        self._max_sessions = max_sessions
        self._active = active
        self._accepting = 0

    @property
    def taken(self) -> int:
        """How many slots are taken, including the jobs that were accepted but have not started."""
        return self._active() + self._accepting

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
        log_decision(request.job, decision)
        if decision.rejected is not None:
            await self._reject(request, "routing", decision.rejected)
            return
        attach_decision(request.job, decision)
        agent = decision.agents[0]
        self._runtime.events.emit(
            CallRouted(
                job_id=request.job.id,
                room=request.room.name,
                agent=agent,
                rule=decision.rule,
                reason=decision.reason,
                ms=ms,
            )
        )
        try:
            await request.accept(
                name=self._runtime.catalog.display_name(agent),
                identity=identity_for(agent, request.id),
                attributes=participant_attributes(agent),
            )
        except AssignmentTimeoutError:
            routing_log.error("room %r: the server did not assign the accepted job in time", request.room.name)

    async def _reject(self, request: JobRequest, cause: str, reason: str) -> None:
        room = request.room.name
        if cause != "routing":  # that has been logged with its trace
            routing_log.warning("room %r: rejected: %s", room, reason, extra={"job_id": request.job.id})
        self._runtime.events.emit(CallRejected(job_id=request.job.id, room=room, cause=cause, reason=reason))
        # Another worker may have a free slot, or the agent that this one lacks.
        await request.reject(terminate=False)


def attach_decision(job: proto.Job, decision: Decision) -> None:
    """Put the decision on the job."""
    job.attributes[DECISION_ATTRIBUTE] = json.dumps(decision.to_json())


def identity_for(agent: str, job_id: str) -> str:
    """Return the participant identity of an agent in a job: it starts with the agent's name."""
    return f"{agent}-{job_id}"


def participant_attributes(agent: str) -> dict[str, str]:
    """Return the attributes by which other participants see which agent answers."""
    return {"lk.agent.name": agent}


def log_decision(job: proto.Job, decision: Decision) -> None:
    """Log a decision once, with its trace at debug level."""
    room, fields = job.room.name, {"job_id": job.id}
    if decision.rejected is not None:
        routing_log.warning("room %r: rejected by %s: %s", room, decision.rule, decision.rejected, extra=fields)
    else:
        routing_log.info(
            "room %r: %s by %s: %s", room, decision.agents[0], decision.rule, decision.reason, extra=fields
        )
    for line in decision.trace:
        if line.is_fault:
            routing_log.warning(
                "room %r: router %s %s; the next rule was asked", room, line.rule, line.reason, extra=fields
            )
        routing_log.debug("  %-16s %s (%.2f ms)", line.rule, line.reason, line.ms, extra=fields)


async def run_call(context: JobContext) -> None:
    """Run one job: build the agent that was chosen for it and hold the call.

    Raises:
        CallFailed: The agent failed; that has been logged.
    """
    assert _runtime is not None, "use_runtime comes first"
    contain_exits(asyncio.get_running_loop())
    tell_upstream_errors(current_call)
    request = request_of(context.job)
    decision = await _decision_of(context, request)
    name = decision.agents[0]
    call = Call(
        job_id=context.job.id, agent_name=name, request=request, decision=decision, resources=_runtime.resources
    )
    loaded = _runtime.catalog.get(name)
    live = _begin(context, loaded, _runtime)
    try:
        await _hold(context, loaded, call, _runtime)
    except (asyncio.CancelledError, CallFailed):
        raise
    except RoomGone as gone:
        logger.warning("%s", gone)
        context.shutdown(str(gone))
    except BaseException as error:  # an agent's sys.exit() must not end the other calls
        report_failure(live, error)
        raise CallFailed(f"agent {name!r} failed") from error


def current_call() -> LiveCall | None:
    """Return the call whose code runs now, if any."""
    context = get_job_context(required=False)
    return None if _runtime is None or context is None else _runtime.live.get(context.job.id)


def _begin(context: JobContext, loaded: LoadedAgent, runtime: Runtime) -> LiveCall:
    live = LiveCall(
        events=runtime.events,
        job_id=context.job.id,
        room=context.job.room.name,
        agent=loaded.name,
        distribution=loaded.entry.distribution if loaded.entry else "",
    )
    context.log_context_fields = {"room": live.room, "agent": live.agent, "distribution": live.distribution}
    runtime.live[live.job_id] = live

    async def end(reason: str) -> None:
        del runtime.live[live.job_id]
        live.ended(reason)

    context.add_shutdown_callback(end)
    return live


async def _hold(context: JobContext, loaded: LoadedAgent, call: Call, runtime: Runtime) -> None:
    if loaded.spec is None:
        raise OpenRTCError(f"agent {loaded.name!r} is {loaded.state}: {loaded.reason}", fix=loaded.fix)
    if loaded.spec.entrypoint is not None:
        runtime.served += 1
        await loaded.spec.entrypoint(context)
    else:
        await run_session(context, loaded.spec, call, runtime)


async def _decision_of(context: JobContext, request: RouteRequest) -> Decision:
    assert _runtime is not None
    carried = context.job.attributes.get(DECISION_ATTRIBUTE)
    decision = Decision.from_json(carried) if carried else await _runtime.router.route(request)
    if decision.rejected is not None:
        raise OpenRTCError(f"the call was rejected: {decision.rejected}")
    return decision


class ChildSetup:
    """Prepares a job's thread or process: built anew in each process, shared by the threads of one.

    Args:
        config: The settings.
        arguments: Further arguments of `build_runtime`; they must be picklable for processes.
    """

    def __init__(self, config: Config, arguments: dict[str, Any]) -> None:
        self._config = config
        self._arguments = arguments

    def __call__(self, process: JobProcess) -> None:
        if _runtime is None:
            runtime = build_runtime(self._config, **self._arguments)
            asyncio.run(runtime.start())
            use_runtime(runtime)
        assert _runtime is not None
        process.userdata.update(_runtime.resources)
