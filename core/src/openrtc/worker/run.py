"""Runs a worker from its first log line to its last."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from openrtc.call import WorkerInfo
from openrtc.config import Config
from openrtc.errors import OpenRTCError, one_line
from openrtc.observe.events import WorkerDraining, WorkerStarted, WorkerStopped
from openrtc.worker.containment import run_contained
from openrtc.worker.end_of_turn import needs_end_of_turn
from openrtc.worker.entrypoint import current_call, use_runtime
from openrtc.worker.exit_codes import REPLACE_ME, SERVER_LOST, STOPPED_AT_ONCE
from openrtc.worker.failure import tell_upstream_errors
from openrtc.worker.inference_llm import may_use_inference_llm
from openrtc.worker.leash import REGISTERED, REPLACE, Leash, ask_to_be_replaced, on_leash
from openrtc.worker.recording_uploads import may_upload_recordings
from openrtc.worker.runtime import Runtime, build_runtime
from openrtc.worker.server import WorkerServer
from openrtc.worker.speed.event_loop import new_event_loop
from openrtc.worker.speed.imports import imports_are_done
from openrtc.worker.speed.speedups import use_speedups
from openrtc.worker.upstream.http import close_connections, open_connections
from openrtc.worker.upstream.late_imports import INFERENCE_LLM, UPLOADS, import_now
from openrtc.worker.upstream.warm_up import warm_up
from openrtc.worker.watchdog import Watchdog
from openrtc.worker.worn_out import WornOut, until_worn_out

logger = logging.getLogger("openrtc.worker")


async def serve(runtime: Runtime, server: WorkerServer) -> int:
    """Register the worker and run calls until SIGTERM or SIGINT; then drain.

    Args:
        runtime: What the calls share.
        server: The server to run.

    Returns:
        The exit code: 0 when it was asked to stop and every call could finish, else as in `exit_codes`.
    """
    stop = StopSignals()
    if leash := on_leash():
        stop.obey(leash)
        server.registrations.when_complete(lambda: leash.say(REGISTERED))
    async with server.sight.open():
        return await _serve(runtime, server, stop)


async def _serve(runtime: Runtime, server: WorkerServer, stop: StopSignals) -> int:
    await prepare(runtime, server)
    require_agents(runtime)
    _log_agents(runtime, server)
    _tell_start(runtime, server)
    watchdog = Watchdog(asyncio.get_running_loop(), runtime.events, runtime.live.get)
    watchdog.start()
    running = asyncio.create_task(server.registrations.run(), name="worker")
    watching = [asyncio.create_task(watch(), name="watch") for watch in (server.load.watch, server.memory.watch)]
    wearing = asyncio.create_task(until_worn_out(server.memory), name="worn-out")
    try:
        ends: set[asyncio.Future[Any]] = {running, stop.first, wearing}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return _told_failure(running, server)
        reason = "signal"
        if wearing.done():
            reason = wearing.result().reason
            _tell_worn_out(wearing.result())
            ask_to_be_replaced()
        runtime.events.emit(WorkerDraining(reason=reason, live=server.active))
        await _drain(server, stop)
        return STOPPED_AT_ONCE if stop.second.done() else 0 if reason == "signal" else REPLACE_ME
    finally:
        await close(runtime, server)
        for task in (wearing, *watching):
            task.cancel()
        await asyncio.gather(running, wearing, *watching, return_exceptions=True)
        watchdog.stop()
        runtime.events.emit(WorkerStopped(served=runtime.served))
        logger.info("worker stopped")


async def prepare(runtime: Runtime, server: WorkerServer) -> None:
    """Load everything that a call would otherwise wait for, and make `runtime` the one of this process."""
    tell_upstream_errors(current_call)
    use_speedups(runtime.config.worker.speedups)
    if set(server.kinds.values()) != {"process"}:
        await runtime.start()
        _warm_up(runtime, _loaded_keys(runtime))
        open_connections()
    use_runtime(runtime)
    imports_are_done()


def _warm_up(runtime: Runtime, resources: Collection[str]) -> None:
    openai = "openai" in sys.modules or may_use_inference_llm(runtime, os.environ)
    if openai:
        import_now(INFERENCE_LLM)
    if may_upload_recordings(runtime.config.worker.url, os.environ):
        import_now(UPLOADS)
    warm_up(end_of_turn=needs_end_of_turn(runtime, resources), openai=openai)


async def close(runtime: Runtime, server: WorkerServer) -> None:
    """Close the server with its jobs, then the plugins and resources."""
    await server.registrations.aclose()
    await close_connections()
    await runtime.aclose(
        WorkerInfo(
            worker_id=server.agent_server.id,
            agent_name=runtime.config.worker.agent_name,
            isolation=server.isolation,
            max_sessions=runtime.config.worker.max_sessions,
            served=runtime.served,
        )
    )
    use_runtime(None)


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


def _loaded_keys(runtime: Runtime) -> set[str]:
    return {record.key for record in runtime.resources.records if record.ready}


def _log_agents(runtime: Runtime, server: WorkerServer) -> None:
    ready = runtime.catalog.ready
    default = runtime.config.routing.default or ready[0]
    kinds = server.kinds
    named = (name if kinds[name] == "coroutine" else f"{name} ({kinds[name]})" for name in ready)
    logger.info("agents: %s; default: %s", ", ".join(named), default)
    logger.info("routing: %s", " > ".join(runtime.router.rules))
    if runtime.config.defaults.offline:
        logger.info("models: offline: where neither the agent nor [defaults] names one")


def _tell_start(runtime: Runtime, server: WorkerServer) -> None:
    worker = runtime.config.worker
    runtime.events.emit(
        WorkerStarted(
            isolation=server.isolation,
            max_sessions=worker.max_sessions,
            agent_name=worker.agent_name,
            agents=tuple(runtime.catalog.ready),
        )
    )


def _tell_worn_out(worn_out: WornOut) -> None:
    logger.error(
        "%s: this worker takes no more calls and exits with code %d when the live ones are over, to be replaced",
        worn_out.said,
        REPLACE_ME,
    )


def _told_failure(running: asyncio.Task[Any], server: WorkerServer) -> int:
    error = running.exception()
    if error is None:
        return 0
    if server.registrations.gave_up:
        logger.error("the LiveKit server cannot be reached: %s; giving up", one_line(str(error)))
        return SERVER_LOST
    if isinstance(error, OSError):
        raise OpenRTCError(one_line(str(error)), fix="choose another --port") from error
    raise OpenRTCError(one_line(str(error))) from error


async def _drain(server: WorkerServer, stop: StopSignals) -> None:
    logger.info("draining: %d live calls may finish; a second signal stops at once", server.active)
    draining = asyncio.create_task(server.registrations.drain(), name="drain")
    await asyncio.wait({draining, stop.second}, return_when=asyncio.FIRST_COMPLETED)
    if not draining.done():
        logger.warning("second signal: ending %d live calls", server.active)
        draining.cancel()
        server.hurry()
    elif isinstance(draining.exception(), TimeoutError):
        logger.warning("the drain timeout is over: ending %d live calls", server.active)


class StopSignals:
    """The first and the second SIGTERM or SIGINT."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.first: asyncio.Future[None] = loop.create_future()
        self.second: asyncio.Future[None] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received)

    def obey(self, leash: Leash) -> None:
        """Let only the supervisor end live calls; signals, however many, drain.

        A service manager that signals all processes must not be taken for a second signal.
        """
        leash.follow(self._drain, self._stop_at_once)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._drain)
        self.first.add_done_callback(lambda _: leash.say(REPLACE))

    def _drain(self) -> None:
        if not self.first.done():
            self.first.set_result(None)

    def _stop_at_once(self) -> None:
        for future in (self.first, self.second):
            if not future.done():
                future.set_result(None)

    def _received(self) -> None:
        pending: list[Callable[[None], None]] = [f.set_result for f in (self.first, self.second) if not f.done()]
        if pending:
            pending[0](None)


def run_worker(config: Config, arguments: Mapping[str, Any]) -> int:
    """Import all agents and plugins on this, the main, thread and run a worker until it is told to stop.

    Args:
        config: The settings.
        arguments: Further arguments of `build_runtime`.

    Returns:
        The exit code.

    Raises:
        OpenRTCError: The worker cannot start, or cannot go on.
    """
    runtime = build_runtime(config, **arguments)
    require_agents(runtime)
    return run_calls(runtime, arguments)


def load_all(config: Config, arguments: Mapping[str, Any]) -> Runtime:
    """Import all agents and plugins, and load what is safe to share with processes that are forked from this one.

    Resources are left to each worker: their libraries may start threads, which a fork does not copy.

    Raises:
        OpenRTCError: The worker cannot start.
    """
    runtime = build_runtime(config, **arguments)
    require_agents(runtime)
    use_speedups(config.worker.speedups)
    _warm_up(runtime, runtime.offered_keys())
    return runtime


def run_calls(runtime: Runtime, arguments: Mapping[str, Any]) -> int:
    """Run a worker with what was imported, until it is told to stop; returns the exit code.

    Args:
        runtime: What `build_runtime` gave.
        arguments: The further arguments that it was given.

    Raises:
        OpenRTCError: The worker cannot go on.
    """

    async def main() -> int:
        return await serve(runtime, WorkerServer(runtime, runtime.config.worker, child_arguments=arguments))

    return run_contained(main(), new_event_loop(runtime.config.worker.speedups))
