"""Runs a worker from its first log line to its last: start, main loop, drain, shutdown.

What happens on SIGTERM or SIGINT:

1. `StopSignals` notes the first signal, and `_run_until_stopped` goes on to the drain.
2. `_drain`: the worker takes no more jobs, and the live calls may finish, for ``drain_timeout`` seconds at most.
3. `close`: what is still live is shut down, then plugins and resources are closed. The exit code is 0.
4. A second signal ends the drain: live calls have `SHORT_CLOSE_SECONDS`, and the exit code is 3.

Under a supervisor a signal to the worker itself only drains it, however often it comes; only an order of the supervisor
(`ControlChannel`) ends live calls. A worker that should be replaced (`recycle`, SIGHUP without a supervisor) drains in
the same way, and its exit code is 75. One whose supervisor is gone drains, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from openrtc.dispatch.connection import KEY_FIX, describe_refusal
from openrtc.errors import OpenRTCError, one_line
from openrtc.install_commands import install_command
from openrtc.model.call import WorkerInfo
from openrtc.observe.events import WorkerDraining, WorkerStarted, WorkerStopped
from openrtc.observe.health.server import HealthServer
from openrtc.observe.package_code import use_current_packages
from openrtc.observe.strict_start import require_no_warnings
from openrtc.plugins.guard.clock import STOPPED_CLOCK, use_clock
from openrtc.plugins.newer_code import keep_out_newer_code
from openrtc.plugins.own_modules import list_own_files
from openrtc.posix import end_at_once_as_init
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.session.containment import run_contained
from openrtc.session.failure import report_unraisable_errors, report_upstream_errors
from openrtc.session.joined_rooms import watch_joined_rooms
from openrtc.session.room_deletion import unpublish_before_deletion
from openrtc.settings.config import Config
from openrtc.speedups.connections import close_connections, open_connections
from openrtc.speedups.imports import finish_imports
from openrtc.speedups.registry import install_speedups
from openrtc.speedups.uvloop import new_event_loop
from openrtc.threads import watch_started_threads
from openrtc.upstream.digest import describe_changes
from openrtc.upstream.known_code import RELEASES
from openrtc.upstream.opentelemetry_traces import separate_opentelemetry_traces
from openrtc.worker.blocked_loop.broken_calls import build_breaker
from openrtc.worker.blocked_loop.isolate_blocking import isolate_blocking_agents
from openrtc.worker.blocked_loop.watchdog import NATIVE_LIMIT, Watchdog
from openrtc.worker.control_channel import DRAIN_ALL, LOST, REGISTERED, REPLACE, ControlChannel
from openrtc.worker.descriptors import fit_sessions
from openrtc.worker.dev_channel import open_dev_channel
from openrtc.worker.drift_watch import Join
from openrtc.worker.entrypoint import find_current_call, find_current_packages, use_runtime
from openrtc.worker.health_routes import open_health_server
from openrtc.worker.offer import find_losses
from openrtc.worker.preload_plan import preload
from openrtc.worker.prewarm import prewarm_agents, prewarm_new
from openrtc.worker.process_exit import CANNOT_RUN, REPLACE_ME, SERVER_LOST, STOPPED_AT_ONCE, SUPERVISOR_GONE
from openrtc.worker.recycle import wait_for_recycle_reason
from openrtc.worker.server import WorkerServer
from openrtc.worker.start_checks import report_lacks, require_distributions, warn_of_chance_default, warn_of_open_choice
from openrtc.worker.stop_signals import StopSignals
from openrtc.worker.stuck_stop import StuckStop

logger = logging.getLogger("openrtc.worker")

BROKEN_BY_THEN = 5.0
"""Seconds after which code that blocks the loop is no more expected to be broken off, where the worker is to stop."""


def run_worker(
    config: Config,
    arguments: Mapping[str, Any],
    channel: ControlChannel | None = None,
    *,
    lk_address: tuple[str, int] | None = None,
    revise: Callable[[Runtime], Runtime] = lambda runtime: runtime,
    patient: bool = True,
    edits_since: float | None = None,
) -> int:
    """Import all agents and plugins on this, the main, thread and run a worker until it is told to stop.

    Args:
        config: The settings.
        arguments: Further arguments of `build_runtime`.
        channel: To the supervisor, if there is one.
        lk_address: Where the program ``lk`` listens that starts the worker anew when a file has changed, if it does.
        revise: Returns the runtime that is used in place of the one that was built.
        patient: Whether live calls may finish after the first signal.
        edits_since: Edits of packages since that time are taken while it runs, in seconds since the epoch; None for
            none.

    Returns:
        The exit code.

    Raises:
        OpenRTCError: The worker cannot start, or cannot go on.
    """
    end_at_once_as_init()
    with open_health_server(config.worker, channel) as health:
        runtime = build_runtime(config, **arguments)
        _check_agents(runtime)
        note_sources(runtime)
        if patient:  # not `openrtc dev`, where everybody who calls sits at this machine
            warn_of_open_choice(runtime)
        runtime = revise(runtime)
        return _run_calls(runtime, arguments, channel, health, lk_address, patient=patient, edits_since=edits_since)


def load_all(config: Config, arguments: Mapping[str, Any]) -> Runtime:
    """Import all agents and plugins, and load what is safe to share with processes that are forked from this one.

    Resources are left to each worker: their libraries may start threads, which a fork does not copy.

    Raises:
        OpenRTCError: The worker cannot start.
    """
    runtime = build_runtime(config, **arguments)
    _check_agents(runtime)
    note_sources(runtime)
    warn_of_open_choice(runtime)
    install_speedups(config.worker.speedups)
    preload(runtime, runtime.list_offered_keys())
    return runtime


def note_sources(runtime: Runtime) -> None:
    """Note which sources of editable installations were imported, so that `DriftWatch` sees edits."""
    runtime.distributions.note_sources(list_own_files())


def run_calls(runtime: Runtime, arguments: Mapping[str, Any], channel: ControlChannel | None = None) -> int:
    """Run a worker with what was imported, until it is told to stop; returns the exit code.

    Args:
        runtime: What `build_runtime` gave.
        arguments: The further arguments that it was given.
        channel: To the supervisor, if there is one.

    Raises:
        OpenRTCError: The worker cannot go on.
    """
    with open_health_server(runtime.config.worker, channel) as health:
        return _run_calls(runtime, arguments, channel, health)


def _run_calls(
    runtime: Runtime,
    arguments: Mapping[str, Any],
    channel: ControlChannel | None,
    health: HealthServer | None,
    lk_address: tuple[str, int] | None = None,
    *,
    patient: bool = True,
    edits_since: float | None = None,
) -> int:
    fitted = fit_sessions(runtime)
    takes_edits = edits_since is not None

    async def main() -> int:
        server = WorkerServer(fitted, child_arguments=arguments, health=health, takes_edits=takes_edits)
        return await serve(server, channel, lk_address, patient=patient, edits_since=edits_since)

    # Where edits are taken, newer code is what is wanted.
    with contextlib.nullcontext() if takes_edits else keep_out_newer_code(runtime.distributions):
        prewarm_agents(fitted)
        return run_contained(main(), new_event_loop(runtime.config.worker.speedups))


async def serve(
    server: WorkerServer,
    channel: ControlChannel | None = None,
    lk_address: tuple[str, int] | None = None,
    *,
    patient: bool = True,
    edits_since: float | None = None,
) -> int:
    """Register the worker and run calls until it is told to stop or should be replaced; then drain.

    With ``lk_address`` no signal drains it: ``lk`` kills it soon, and hands the calls to the next one. Neither does one
    that is not ``patient``, as on a developer's machine: live calls are ended at the first signal.

    Returns:
        The exit code: 0 when it was asked to stop and every call could finish, else as in `process_exit`.
    """
    with contextlib.closing(StopSignals(channel, patient=patient and lk_address is None, health=server.health)) as stop:
        drain_all = stop.drain if channel is None else lambda: channel.report(DRAIN_ALL)
        server.orders.follow(stop.drain, drain_all)
        if channel:
            stop.note = server.note_roll_out
            # The supervisor drains an old worker only when its successor can take calls: not within the registration,
            # during which `/ready` still says that there is no connection.
            loop, report = asyncio.get_running_loop(), partial(_report_registered, channel, server.health)
            server.registrations.on_complete(lambda: loop.call_soon(report))
        async with server.monitor.open():
            await prepare(server)
            require_no_warnings()
            if channel:
                if losses := list(find_losses(channel.place.keep, server.runtime)):
                    channel.tell(LOST, names=[loss.name for loss in losses], lines=[loss.line for loss in losses])
                    return CANNOT_RUN  # the supervisor says why
                server.follow_supervisor(channel)
            _report_start(server)
            async with open_dev_channel(server, lk_address):
                with isolate_blocking_agents(server):
                    async with _follow_packages(
                        server, edits_since, lk_address, supervised=channel is not None, patient=patient
                    ):
                        return await _run_until_stopped(server, stop, channel)


def _report_registered(channel: ControlChannel, health: HealthServer | None) -> None:
    if health is not None and not channel.place.answers:
        health.answer()  # first: the one that has answered until now leaves at once
    channel.report(REGISTERED)


def _follow_packages(
    server: WorkerServer, since: float | None, lk_address: tuple[str, int] | None, *, supervised: bool, patient: bool
) -> contextlib.AbstractAsyncContextManager[None]:
    """Take edits of packages, or tell of what is installed otherwise; ``lk`` starts the worker anew instead."""
    if since is None:
        if lk_address:
            return contextlib.nullcontext()
        join = _choose_join(server) if patient else None
        return server.drift.open(supervised=supervised, join=join, roll=_choose_roll(server))
    from openrtc.reload.reloader import take_edits  # no other worker needs it

    return take_edits(server.runtime, partial(prewarm_new, server.runtime), server.list_unregistered, since)


def _choose_roll(server: WorkerServer) -> Callable[[str], None] | None:
    """Return what lets the supervisor replace its workers, where the operator wants that."""
    ask = server.ask_to_roll
    if server.runtime.config.policy.pick_up != "roll" or ask is None:
        return None

    def roll(installed: str) -> None:
        if not server.registrations.draining:  # one that is replaced has what was there before to its end
            ask(installed)

    return roll


def _choose_join(server: WorkerServer) -> Join | None:
    """Return what lets new packages join a worker, where the operator wants that."""
    if server.runtime.config.policy.pick_up != "new":
        return None
    from openrtc.reload.pick_up import PickUp  # no other worker needs it

    prepare_new = partial(prewarm_new, server.runtime)
    return PickUp(server.runtime, prepare_new, server.join_new, asyncio.get_running_loop()).take


async def prepare(server: WorkerServer) -> None:
    """Load everything that a call would otherwise wait for, and make the server's runtime the one of this process."""
    runtime = server.runtime
    report_upstream_errors(find_current_call)
    report_unraisable_errors()
    use_current_packages(find_current_packages)
    install_speedups(runtime.config.worker.speedups)
    watch_joined_rooms()
    watch_started_threads()
    unpublish_before_deletion()
    _report_unknown_livekit(runtime)
    # Where every call has a process of its own, this one runs none: each of those loads for itself.
    if set(server.kinds.values()) != {"process"}:
        await runtime.start()
        preload(runtime, runtime.resources)
        open_connections()
    use_clock(STOPPED_CLOCK)  # what hangs from now on is a call's, and ends nobody's
    use_runtime(runtime)
    finish_imports()


def _report_unknown_livekit(runtime: Runtime) -> None:
    """Say what calls will be without, since OpenRTC does not know this livekit-agents; casts cannot be without it."""
    if changes := describe_changes("tools"):
        logger.warning(
            "a tool that exits ends the worker, since OpenRTC does not know this livekit-agents: %s", changes
        )
    if changes := _separate_traces():
        text = "a tracer provider that a call sets gets the spans of all, since OpenRTC does not know what is here: %s"
        logger.warning(text, changes)
    if changes := _separate_avatars():
        text = "an avatar of several calls answers the latest one, since OpenRTC does not know this livekit-agents: %s"
        logger.warning(text, changes)
    if changes := describe_changes("handoffs"):
        logger.warning(
            "an agent that fails after a hand-off stays silent in its room, since OpenRTC does not know this "
            "livekit-agents: %s",
            changes,
        )
    casts = [name for name in runtime.catalog.ready if runtime.catalog.resolve_cast([name])]
    if casts and (changes := describe_changes("speech")):
        reason = f"OpenRTC does not know this livekit-agents: {changes}"
        runtime.mark_broken(dict.fromkeys(casts, reason), fix=install_command(f"livekit-agents=={RELEASES[-1]}"))


def _separate_avatars() -> str | None:
    """Let what an avatar answers go to its own call; return what keeps that from being done, if anything."""
    if changes := describe_changes("avatars"):
        return changes
    from openrtc.upstream.avatars import separate_avatars  # it fails with what OpenRTC does not know

    separate_avatars()
    return None


def _separate_traces() -> str | None:
    """Let each call have the tracer provider that it sets; return what keeps that from being done, if anything."""
    if changes := describe_changes("traces"):
        return changes
    from openrtc.upstream.livekit_traces import separate_livekit_traces  # it fails with what OpenRTC does not know

    separate_livekit_traces()
    return separate_opentelemetry_traces()


def _check_agents(runtime: Runtime) -> None:
    require_distributions(runtime)
    require_agents(runtime)
    warn_of_chance_default(runtime)


def require_agents(runtime: Runtime) -> None:
    """Raise where no agent can take calls.

    Raises:
        OpenRTCError: No agent is installed, or none is ready.
    """
    if runtime.catalog.ready:
        return
    if runtime.catalog.names:
        raise OpenRTCError("no agent is ready to take calls", fix="see openrtc list-agents --load")
    raise OpenRTCError("no agent is installed", fix='pip install one; its entry point is in the group "openrtc.agents"')


def _report_start(server: WorkerServer) -> None:
    runtime, worker = server.runtime, server.runtime.config.worker
    # Again: one whose resource could not be loaded is not ready any more.
    require_distributions(runtime)
    require_agents(runtime)
    ready, kinds = runtime.catalog.ready, server.kinds
    named = (name if kinds[name] == "coroutine" else f"{name} ({kinds[name]})" for name in ready)
    logger.info("agents: %s; default: %s", ", ".join(named), runtime.router.default or "none")
    for name in ready:
        if notes := runtime.catalog.get(name).notes:
            logger.info("agent %r: %s", name, "; ".join(notes))
    report_lacks(runtime)
    logger.info("routing: %s", " > ".join(runtime.router.rules))
    if runtime.config.defaults.offline:
        logger.info("models: those of openrtc-offline, where neither the agent nor [defaults] names one")
    runtime.events.emit(
        WorkerStarted(
            isolation=server.isolation,
            max_sessions=worker.max_sessions,
            agent_name=worker.agent_name,
            agents=tuple(ready),
        )
    )


async def _run_until_stopped(server: WorkerServer, stop: StopSignals, channel: ControlChannel | None) -> int:
    runtime = server.runtime
    # Not before the imports of the start, which block the loop for seconds while there are no calls.
    patience = max(NATIVE_LIMIT, runtime.config.worker.break_seconds + BROKEN_BY_THEN)
    stuck = StuckStop(patience, stop.first.done, channel.count_unread if channel else None)
    watchdog = Watchdog(
        asyncio.get_running_loop(),
        runtime.events,
        runtime.live.get,
        build_breaker(server.runtime, server.end_soon),
        stuck,
    )
    watchdog.start()
    server.monitor.beat_age = watchdog.beat_age
    running = asyncio.create_task(server.registrations.run(), name="worker")
    watches = (server.load.watch, server.memory.watch, server.stranded.watch, server.prompt_status.watch)
    measuring = [asyncio.create_task(watch(), name="measure") for watch in watches]
    recycling = asyncio.create_task(wait_for_recycle_reason(server.memory), name="recycle")
    try:
        ends: set[asyncio.Future[Any]] = {running, stop.first, recycling}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return _report_end(running, server)
        recycle = recycling.result() if recycling.done() else None
        if recycle:
            logger.error(
                "%s: this worker takes no more calls and exits with code %d when the live ones are over, "
                "to be replaced",
                recycle.message,
                REPLACE_ME,
            )
            if channel:
                channel.report(REPLACE)  # before the drain: another worker takes its calls meanwhile
        reason = recycle.cause if recycle else "supervisor" if stop.orphaned else "signal"
        runtime.events.emit(WorkerDraining(reason=reason, live=server.attended))
        if stop.second.done() and not stop.patient:
            server.shorten_close()
            return 0
        await _drain(server, stop)
        if stop.second.done():
            return STOPPED_AT_ONCE
        if stop.orphaned:
            return SUPERVISOR_GONE
        return REPLACE_ME if recycle or stop.replace else 0
    finally:
        # While calls are closed, the loop and the memory are still watched: what blocks then is reported, too.
        await close(server)
        # `running` has ended, unless its server was not waited for: see `WorkerServer.aclose`.
        for task in (running, recycling, *measuring):
            task.cancel()
        await asyncio.gather(running, recycling, *measuring, return_exceptions=True)
        watchdog.stop()
        runtime.events.emit(WorkerStopped(served=runtime.served))
        logger.info("worker stopped")


def _report_end(running: asyncio.Task[None], server: WorkerServer) -> int:
    """Return the exit code of a worker whose registrations have ended by themselves."""
    worker = server.runtime.config.worker
    if server.registrations.refused:
        raise OpenRTCError(describe_refusal(worker.url, worker.api_key), fix=KEY_FIX)
    error = running.exception()
    if error is None:
        return 0
    if server.registrations.gave_up:
        logger.error("the LiveKit server cannot be reached: %s; giving up", one_line(str(error)))
        return SERVER_LOST
    # Where livekit-agents listens itself, only that fails with an OSError of what it does at its start.
    fix = "choose another --port" if isinstance(error, OSError) else None
    raise OpenRTCError(one_line(str(error)), fix=fix) from error


async def _drain(server: WorkerServer, stop: StopSignals) -> None:
    logger.info("draining: %d live calls may finish; a second signal stops at once", server.attended)
    draining = asyncio.create_task(server.registrations.drain(), name="drain")
    await asyncio.wait({draining, stop.second}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        logger.warning("second signal: ending %d live calls", server.active)
        draining.cancel()
        server.shorten_close()
    elif isinstance(draining.exception(), TimeoutError):
        logger.warning("the drain timeout is over: ending %d live calls", server.active)


async def close(server: WorkerServer) -> None:
    """Close the server with its jobs, then the plugins and resources."""
    runtime, worker = server.runtime, server.runtime.config.worker
    await server.aclose()  # first: agents use the connections and resources until their end
    await close_connections()
    await runtime.aclose(
        WorkerInfo(
            worker_id=server.agent_server.id,
            agent_name=worker.agent_name,
            isolation=server.isolation,
            max_sessions=worker.max_sessions,
            served=runtime.served,
        )
    )
    use_runtime(None)
