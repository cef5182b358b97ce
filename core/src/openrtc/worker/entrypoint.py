"""What livekit-agents calls for every job, and what prepares a job's thread or process."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from livekit.agents import JobContext, JobProcess, get_job_context

from openrtc.call import Call
from openrtc.cast.run import run_cast
from openrtc.config import Config
from openrtc.errors import OpenRTCError
from openrtc.observe.forwarding import EventSender
from openrtc.plugins.loaded import LoadedAgent
from openrtc.routing.decision import Decision
from openrtc.routing.request import RouteRequest
from openrtc.worker.admission import DECISION_ATTRIBUTE, distribution_of, request_of
from openrtc.worker.containment import contain_exits
from openrtc.worker.cpu_meter import current_meter
from openrtc.worker.failure import CallFailed, report_failure, tell_upstream_errors
from openrtc.worker.late_join import shield_join
from openrtc.worker.live_call import LiveCall
from openrtc.worker.runtime import Runtime, build_runtime
from openrtc.worker.session import run_session
from openrtc.worker.shielded_connect import RoomGone
from openrtc.worker.spans import mark_job_span
from openrtc.worker.speed.speedups import use_speedups

logger = logging.getLogger("openrtc.worker")

_runtime: Runtime | None = None
"""What the calls of this process share. Global because livekit-agents takes entrypoints that can be pickled by name."""


def use_runtime(runtime: Runtime | None) -> None:
    """Set what the calls of this process share."""
    global _runtime
    _runtime = runtime


async def run_call(context: JobContext) -> None:
    """Run one job: build the agent that was chosen for it and hold the call.

    Raises:
        CallFailed: The agent failed; that has been logged.
    """
    assert _runtime is not None, "use_runtime comes first"
    contain_exits(asyncio.get_running_loop())
    tell_upstream_errors(current_call)
    shield_join(context.room, context, _runtime.config.worker)
    request = request_of(context.job)
    decision = await _decision_of(context, request)
    name = decision.agents[0]
    call = Call(
        job_id=context.job.id, agent_name=name, request=request, decision=decision, resources=_runtime.resources
    )
    loaded = _runtime.catalog.get(name)
    live = _begin(context, loaded, _runtime)
    mark_job_span(decision, live.distribution)
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
        distribution=distribution_of(loaded),
        package=_package_of(loaded),
    )
    current_meter.set(live.cpu)
    context.log_context_fields = live.fields
    runtime.live[live.job_id] = live

    async def end(reason: str) -> None:
        del runtime.live[live.job_id]
        live.ended(reason)

    context.add_shutdown_callback(end)
    return live


def _package_of(loaded: LoadedAgent) -> str:
    spec = loaded.spec
    members = [member.spec for member in spec.cast.members if member.spec] if spec and spec.cast else []
    made_by = spec and (spec.agent or spec.entrypoint or (members and members[0].agent))
    return str(getattr(made_by, "__module__", "")).partition(".")[0]


async def _hold(context: JobContext, loaded: LoadedAgent, call: Call, runtime: Runtime) -> None:
    if loaded.spec is None:
        raise OpenRTCError(f"agent {loaded.name!r} is {loaded.state}: {loaded.reason}", fix=loaded.fix)
    if company := runtime.catalog.company(call.decision.agents):
        await run_cast(context, company, call, runtime)
    elif loaded.spec.entrypoint is not None:
        runtime.served += 1
        runtime.live[call.job_id].started()
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
        events: The worker's socket for the events of its job processes.
    """

    def __init__(self, config: Config, arguments: dict[str, Any], events: Path) -> None:
        self._config = config
        self._arguments = arguments
        self._events = events

    def __call__(self, process: JobProcess) -> None:
        if _runtime is None:
            runtime = build_runtime(self._config, **self._arguments)
            runtime.events.subscribe(EventSender(self._events))
            asyncio.run(runtime.start())
            use_runtime(runtime)
            use_speedups(self._config.worker.speedups)
        assert _runtime is not None
        process.userdata.update(_runtime.resources)
