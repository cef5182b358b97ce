"""Entry points of the supervisor's child processes: load everything and fork, start separately, or run the calls."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from openrtc.errors import OpenRTCError
from openrtc.observe.logs import add_worker_number
from openrtc.observe.strict_start import require_no_warnings
from openrtc.plugins.guard.clock import ThreadClock, use_clock
from openrtc.posix import find_signals, why_not_fork
from openrtc.settings.config import Config
from openrtc.speedups.imports import finish_imports
from openrtc.supervisor.begin_again import BeginAgain
from openrtc.supervisor.fork_server import FAILED, NO_DOORS, ForkServer, report
from openrtc.supervisor.hang_watch import ReportingClock
from openrtc.supervisor.own_end import end_with_parent, offer_to_memory_killer
from openrtc.supervisor.process_role import SPAWNER, WORKER, Doors, ProcessRole, repeat_command
from openrtc.worker.control_channel import ControlChannel, Place
from openrtc.worker.process_exit import CANNOT_RUN, SUPERVISOR_GONE, exit_process

# `openrtc.worker.run` imports livekit: within the functions, since a spawner needs none of it.

logger = logging.getLogger("openrtc.supervisor")

IGNORED = find_signals("SIGTERM", "SIGINT", "SIGHUP")
"""A service manager may signal all processes at once; here only the supervisor and the workers act on that."""


def run_role(role: ProcessRole, config: Config, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Do what this process was started for; returns the exit code.

    Args:
        role: The role.
        config: The settings.
        arguments: Further arguments of ``build_runtime``.
        environ: The environment that the process was started with.
    """
    connection = socket.socket(fileno=role.descriptor)
    if role.name == WORKER:
        use_clock(ThreadClock(BeginAgain(environ, config.hung, role=role)))
        return _run_spawned_worker(role.place, connection, config, arguments)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    if not end_with_parent(connection):
        return SUPERVISOR_GONE
    if role.name == SPAWNER:
        return _spawn_workers(connection, environ, role.doors)
    try:
        return _fork_workers(role, connection, config, arguments, environ)
    except OpenRTCError as error:
        report(connection, FAILED, why=str(error))
        raise


def offset_port(config: Config, number: int) -> Config:
    """Return the settings of the worker with this number: the first has the health port, each further one the next."""
    port = config.worker.port
    return replace(config, worker=replace(config.worker, port=port + number if port else 0))


def _run_spawned_worker(place: Place, connection: socket.socket, config: Config, arguments: Mapping[str, Any]) -> int:
    from openrtc.worker.run import run_worker

    add_worker_number(place.number)
    channel = ControlChannel(connection, place)
    channel.watch()
    return run_worker(_place_port(config, place), arguments, channel)


def _place_port(config: Config, place: Place) -> Config:
    return offset_port(config, place.slot if place.doors else place.number)


def _fork_workers(
    role: ProcessRole,
    connection: socket.socket,
    config: Config,
    arguments: Mapping[str, Any],
    environ: Mapping[str, str],
) -> int:
    from openrtc.worker.run import load_all, run_calls

    began = time.monotonic()
    doors = _take_doors(role, connection)
    clock = ReportingClock(connection)
    use_clock(clock)
    with offer_to_memory_killer(when=role.trial):
        runtime = load_all(config, arguments)
    clock.close()

    def work(role: ProcessRole, connection: socket.socket) -> int:
        place = role.place
        add_worker_number(place.number)
        # Such a worker goes on as one that is started separately: it shares no memory any more, but takes calls.
        use_clock(ThreadClock(BeginAgain(environ, config.hung, role=role)))
        own = replace(runtime, config=_place_port(config, place))
        channel = ControlChannel(connection, place)
        channel.watch()
        return run_calls(own, arguments, channel)

    problem = why_not_fork()
    if problem:
        logger.warning("workers share no memory and start slowly: %s", problem)
    require_no_warnings()  # here, so that it is said once and not by each worker
    if problem:
        _start_again_as(SPAWNER, connection, environ, doors)
    finish_imports()  # the collector would write to the pages of all this, and workers not share them any more
    server = ForkServer(connection, lambda *given: _fork(work, *given), doors)
    server.report("ready", how="forked", seconds=time.monotonic() - began)
    server.run()
    return 0


def _take_doors(role: ProcessRole, connection: socket.socket) -> Doors:
    from openrtc.upstream.digest import describe_changes

    if not role.doors or not describe_changes("health"):
        return role.doors
    for descriptor in (one for door in role.doors for one in door):
        os.close(descriptor)  # livekit-agents listens there itself
    report(connection, NO_DOORS)
    return ()


def _fork(
    work: Callable[[ProcessRole, socket.socket], int],
    role: ProcessRole,
    channel: socket.socket,
    close_inherited: Callable[[], None],
) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        close_inherited()
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()  # or every worker would draw the same numbers
        code = work(role, channel)
    except OpenRTCError as error:
        print(f"openrtc: {error}", file=sys.stderr)
        code = CANNOT_RUN
    except BaseException:  # whatever it is, it must not go on up into the fork server's own loop
        logger.exception("worker %d failed", role.place.number)
    finally:
        exit_process(code)


def _spawn_workers(connection: socket.socket, environ: Mapping[str, str], doors: Doors = ()) -> int:
    def spawn(role: ProcessRole, channel: socket.socket, close_inherited: Callable[[], None]) -> int:
        command = repeat_command()
        role.let_inherit()
        try:
            return os.posix_spawn(command[0], command, role.put_into(environ), setsigdef=IGNORED)
        finally:
            role.let_inherit(False)  # the next worker has another health port

    server = ForkServer(connection, spawn, doors)
    server.report("ready", how="started separately", seconds=0.0)
    server.run()
    return 0


def _start_again_as(name: str, connection: socket.socket, environ: Mapping[str, str], doors: Doors = ()) -> NoReturn:
    """Become a process of another role, without all that was loaded."""
    role = ProcessRole(name, connection.fileno(), doors=doors)
    role.let_inherit()
    command = repeat_command()
    os.execve(command[0], command, role.put_into(environ))
