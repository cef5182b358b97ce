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
from openrtc.supervisor.fork_server import ForkServer
from openrtc.supervisor.hang_watch import ReportingClock
from openrtc.supervisor.process_role import SPAWNER, WORKER, ProcessRole, repeat_command
from openrtc.worker.control_channel import ControlChannel
from openrtc.worker.process_exit import CANNOT_RUN, exit_process

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
        return _run_spawned_worker(role.number, connection, config, arguments)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    if role.name == SPAWNER:
        return _spawn_workers(connection, environ)
    return _fork_workers(connection, config, arguments, environ)


def offset_port(config: Config, number: int) -> Config:
    """Return the settings of the worker with this number: the first has the health port, each further one the next."""
    port = config.worker.port
    return replace(config, worker=replace(config.worker, port=port + number if port else 0))


def _run_spawned_worker(number: int, connection: socket.socket, config: Config, arguments: Mapping[str, Any]) -> int:
    from openrtc.worker.run import run_worker

    add_worker_number(number)
    return run_worker(offset_port(config, number), arguments, ControlChannel(connection))


def _fork_workers(
    connection: socket.socket, config: Config, arguments: Mapping[str, Any], environ: Mapping[str, str]
) -> int:
    from openrtc.worker.run import load_all, run_calls

    began = time.monotonic()
    clock = ReportingClock(connection)
    use_clock(clock)
    runtime = load_all(config, arguments)
    clock.close()

    def work(number: int, channel: socket.socket) -> int:
        add_worker_number(number)
        # Such a worker goes on as one that is started separately: it shares no memory any more, but takes calls.
        role = ProcessRole(WORKER, channel.fileno(), number)
        use_clock(ThreadClock(BeginAgain(environ, config.hung, role=role)))
        own = replace(runtime, config=offset_port(config, number))
        return run_calls(own, arguments, ControlChannel(channel))

    problem = why_not_fork()
    if problem:
        logger.warning("workers share no memory and start slowly: %s", problem)
    require_no_warnings()  # here, so that it is said once and not by each worker
    if problem:
        _start_again_as(SPAWNER, connection, environ)
    finish_imports()  # the collector would write to the pages of all this, and workers not share them any more
    server = ForkServer(connection, lambda *given: _fork(work, *given))
    server.report("ready", how="forked", seconds=time.monotonic() - began)
    server.run()
    return 0


def _fork(
    work: Callable[[int, socket.socket], int],
    number: int,
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
        code = work(number, channel)
    except OpenRTCError as error:
        print(f"openrtc: {error}", file=sys.stderr)
        code = CANNOT_RUN
    except BaseException:  # whatever it is, it must not go on up into the fork server's own loop
        logger.exception("worker %d failed", number)
    finally:
        exit_process(code)


def _spawn_workers(connection: socket.socket, environ: Mapping[str, str]) -> int:
    def spawn(number: int, channel: socket.socket, close_inherited: Callable[[], None]) -> int:
        channel.set_inheritable(True)
        command, role = repeat_command(), ProcessRole(WORKER, channel.fileno(), number)
        return os.posix_spawn(command[0], command, role.put_into(environ), setsigdef=IGNORED)

    server = ForkServer(connection, spawn)
    server.report("ready", how="started separately", seconds=0.0)
    server.run()
    return 0


def _start_again_as(name: str, connection: socket.socket, environ: Mapping[str, str]) -> NoReturn:
    """Become a process of another role, without all that was loaded."""
    connection.set_inheritable(True)
    command = repeat_command()
    os.execve(command[0], command, ProcessRole(name, connection.fileno()).put_into(environ))
