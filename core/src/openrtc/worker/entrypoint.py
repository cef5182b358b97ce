"""What livekit-agents calls for every job, and what prepares a job's thread or process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livekit.agents import JobContext, JobProcess, get_job_context

from openrtc.cast.run import run_cast
from openrtc.catalog.loaded import LoadedAgent
from openrtc.discovery.loaded_distributions import LoadedDistributions
from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.call import Call
from openrtc.model.metadata import fit_metadata
from openrtc.observe.events import JobProcessStarted
from openrtc.observe.forwarding import EventSender
from openrtc.observe.logs import configure_logs_of_job
from openrtc.observe.package_code import use_current_packages
from openrtc.observe.spans import add_decision_to_span
from openrtc.plugins.guard.clock import STOPPED_CLOCK, ThreadClock, go_on, use_clock
from openrtc.plugins.newer_code import RESTART, describe_newer, refuse_newer_code
from openrtc.posix import has_unix_sockets
from openrtc.runtime.live_call import LiveCall, current_meter
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.session.attendance import keep_slot_meanwhile
from openrtc.session.containment import contain_exits
from openrtc.session.ending import CallEnding, end_call, watch_ending
from openrtc.session.failure import CallFailed, report_failure, report_upstream_errors
from openrtc.session.guards import contain_tools
from openrtc.session.hang_up import watch_hang_up
from openrtc.session.joined_rooms import leave_rooms_at_end
from openrtc.session.ledger import note_people
from openrtc.session.log_fields import keep_log_fields
from openrtc.session.loop_threads import give_threads
from openrtc.session.observers import watch_observed
from openrtc.session.room_connect import RoomGone, shield_join
from openrtc.session.session import run_session, watch_own_sessions
from openrtc.session.shutdown import guard_shutdown_callbacks
from openrtc.session.unheard import note_typing
from openrtc.settings.config import Config
from openrtc.speedups.registry import install_speedups
from openrtc.threads import ThreadOwner
from openrtc.upstream.call_providers import begin_call_traces
from openrtc.worker.admission import find_distribution, read_decision, read_request
from openrtc.worker.own_code import find_packages
from openrtc.worker.own_versions import find_foreign_code
from openrtc.worker.preload_plan import import_public_names
from openrtc.worker.prewarm import fill_userdata, prewarm_agents, prewarm_new

if TYPE_CHECKING:
    from openrtc.reload.late import LateEdits, LatePackages

logger = logging.getLogger("openrtc.worker")

_runtime: Runtime | None = None
"""What the calls of this process share. Global because livekit-agents takes entrypoints that can be pickled by name."""


_late_edits: LateEdits | None = None
"""Takes what was edited while this process has waited for its job, under `openrtc dev`."""

_late_packages: LatePackages | None = None
"""Takes what was installed while this process has waited for its job, where the operator wants that."""


def use_runtime(runtime: Runtime | None) -> None:
    """Set what the calls of this process share."""
    global _runtime
    _runtime = runtime


async def run_call(context: JobContext) -> None:
    """Run one job: build the agent that was chosen for it and hold the call.

    Raises:
        CallFailed: The agent failed; that has been logged.
    """
    runtime, job = _runtime, context.job
    assert runtime is not None, "use_runtime comes first"
    if _late_edits is not None:
        _late_edits.take()
    if _late_packages is not None and (asked := read_decision(job)):
        _late_packages.take(asked.agents)
    # A thread or process of its own has a loop of its own, which nobody has prepared.
    contain_exits(asyncio.get_running_loop())
    give_threads(asyncio.get_running_loop(), ThreadOwner(job.id))
    report_upstream_errors(find_current_call)
    contain_tools()
    # livekit-agents cancels a connect when the room is deleted meanwhile; that would end this process 15 s later.
    shield_join(context.room, context, runtime.config.worker)
    leave_rooms_at_end(context)
    watch_hang_up(context, runtime.config.worker.hang_up_seconds)
    request = read_request(job, runtime.config)
    # A job that livekit-agents simulates has not been through the admission and carries no decision.
    decision = read_decision(job) or await runtime.router.route(request)
    if decision.rejected is not None:
        raise OpenRTCError(f"the call was rejected: {decision.rejected}")
    name = decision.agents[0]
    loaded = runtime.catalog.get(name)
    metadata = fit_metadata(request, loaded.spec)
    live = _begin(context, loaded, runtime)
    call: Call[Any] = Call(
        job_id=job.id,
        agent_name=name,
        request=request,
        decision=decision,
        metadata=metadata,
        resources=runtime.resources,
        ending=partial(end_call, job.id),
        recorder=live.ledger.record,
        recorded_by=live.distribution or name,
    )
    if not context.is_fake_job():
        note_people(context.room, live)
    note_typing(context.room, live)
    goodbye = (loaded.spec.goodbye if loaded.spec else "") or runtime.config.defaults.goodbye
    limits = runtime.list_call_limits(decision.agents)
    watch_observed(context, call, live, runtime)
    ending = watch_ending(context, live, runtime.config.worker, goodbye, limits)
    add_decision_to_span(decision, live.distribution)
    try:
        fill_userdata(context.proc, decision.agents, runtime)
        with ending.break_off():
            await _hold(context, loaded, call, runtime, ending)
    except (asyncio.CancelledError, CallFailed):
        raise
    except RoomGone as gone:
        logger.warning("%s", gone)
        live.cancelled = gone
        context.shutdown(str(gone))
    except BaseException as error:  # an agent's sys.exit() must not end the other calls
        report_failure(live, error)
        raise CallFailed(f"agent {name!r} failed") from error


def find_current_call() -> LiveCall | None:
    """Return the call whose code runs now, if any."""
    context = get_job_context(required=False)
    return None if _runtime is None or context is None else _runtime.live.get(context.job.id)


def find_current_spec() -> AgentSpec | None:
    """Return how the agent is built whose call's code runs now; None for no call."""
    call = find_current_call()
    return None if call is None or _runtime is None else _runtime.catalog.get(call.agent).spec


def find_current_packages() -> frozenset[str]:
    """Return the top-level modules of the agent whose call's code runs now; none for no call."""
    call = find_current_call()
    return call.packages if call else frozenset()


class ChildSetup:
    """Prepares a job's thread or process: built anew in each process, shared by the threads of one.

    Args:
        config: The settings.
        arguments: Further arguments of `build_runtime`; they must be picklable for processes.
        events: The worker's socket for the events of its job processes.
        takes_edits: Whether a process that waits for a job takes what is edited meanwhile.
        expected: The agents whose calls get processes, each with its distribution.
        distributions: What the worker has loaded of each: a process uses these, as they are there, or says why not.
    """

    def __init__(
        self,
        config: Config,
        arguments: dict[str, Any],
        events: Path,
        *,
        takes_edits: bool = False,
        expected: Mapping[str, str] | None = None,
        distributions: LoadedDistributions | None = None,
    ) -> None:
        self._config = config
        self._distributions = None if takes_edits else distributions
        self._expected = dict(expected or {})
        self._arguments = arguments
        self._events = events
        self._takes_edits = takes_edits

    def __call__(self, process: JobProcess) -> None:
        if _runtime is None:  # in a process; a thread finds the worker's own
            began = time.time()
            configure_logs_of_job(self._config.worker.log_level)
            # What hangs here is told, and livekit-agents ends a process that does not get ready: CHILD_START_SECONDS.
            use_clock(ThreadClock(go_on, ends=False))
            only = self._distributions.speaking if self._distributions else None
            if self._distributions:
                if foreign := find_foreign_code(self._distributions):
                    raise OpenRTCError(f"{foreign}; {RESTART}")
                refuse_newer_code(self._distributions)
            runtime = build_runtime(self._config, only=only, **self._arguments)
            use_current_packages(find_current_packages)
            if has_unix_sockets():  # without, the worker knows less of these calls; they are held all the same
                sender = EventSender(self._events)
                runtime.events.subscribe(sender)
                # At the end of a process of `multiprocessing` nothing that `atexit` knows is called.
                Finalize(None, sender.close, exitpriority=0)
            asyncio.run(runtime.start())  # livekit-agents starts the loop of the jobs afterwards
            prewarm_agents(runtime, isolated=True)
            use_clock(STOPPED_CLOCK)
            use_runtime(runtime)
            install_speedups(self._config.worker.speedups)
            if self._takes_edits:
                _watch_edits(runtime, began)
            elif runtime.config.policy.pick_up == "new":
                _watch_packages(runtime)
            import_public_names()
            unusable = {name: reason for name in self._expected if (reason := self._why_unusable(name, runtime))}
            runtime.events.emit(JobProcessStarted(seconds=round(time.time() - began, 3), unusable=unusable))
        assert _runtime is not None
        process.userdata.update(_runtime.resources)

    def _why_unusable(self, name: str, runtime: Runtime) -> str | None:
        agent = runtime.catalog.agents.get(name)
        if agent and agent.usable:
            return None
        drift = self._distributions.find_drift(self._expected[name]) if self._distributions else None
        if drift:
            return describe_newer(drift)
        if agent is None:
            return "no package brings it any more"
        return " at ".join(filter(None, (agent.reason, agent.location)))


def _watch_packages(runtime: Runtime) -> None:
    global _late_packages
    from openrtc.reload.late import LatePackages  # no other worker needs it

    _late_packages = LatePackages(runtime, partial(prewarm_new, runtime))


def _watch_edits(runtime: Runtime, since: float) -> None:
    global _late_edits
    from openrtc.reload.late import LateEdits  # no other worker needs it

    _late_edits = LateEdits(runtime, partial(prewarm_new, runtime), since)


def _begin(context: JobContext, loaded: LoadedAgent, runtime: Runtime) -> LiveCall:
    live = LiveCall(
        events=runtime.events,
        job_id=context.job.id,
        room=context.job.room.name,
        agent=loaded.name,
        distribution=find_distribution(loaded),
        packages=find_packages(loaded),
    )
    current_meter.set(live.cpu)  # every task of the call inherits it from this one
    keep_log_fields(context, live.fields)  # for livekit-agents' own log lines
    begin_call_traces(context, loaded.name)
    runtime.live[live.job_id] = live

    guard_shutdown_callbacks(context, live)

    async def end(reason: str) -> None:
        if runtime.live.pop(live.job_id, None):
            await live.emit_ended_when_told(reason)

    context.add_shutdown_callback(end)
    return live


async def _hold(context: JobContext, loaded: LoadedAgent, call: Call, runtime: Runtime, ending: CallEnding) -> None:
    if loaded.spec is None:
        raise OpenRTCError(f"agent {loaded.name!r} is {loaded.state}: {loaded.reason}", fix=loaded.fix)
    if resolved_cast := runtime.catalog.resolve_cast(call.decision.agents):
        await run_cast(context, resolved_cast, call, runtime)
    elif loaded.spec.entrypoint is not None:  # livekit's own kind of agent: it makes its sessions itself
        runtime.served += 1
        live = runtime.live[call.job_id]
        live.emit_started()
        live.listen()  # when it does is its own business
        ending.clock.start()
        with keep_slot_meanwhile(context, live) as slot:
            watch_own_sessions(context, call, runtime, slot)
            await loaded.spec.entrypoint(context)
    else:
        await run_session(context, loaded.spec, call, runtime)
