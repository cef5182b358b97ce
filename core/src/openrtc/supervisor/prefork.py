"""The parts of the processes that a supervisor starts: load everything and fork, start separately, or run the calls."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from openrtc.config import Config
from openrtc.errors import OpenRTCError
from openrtc.observe.logs import number_lines
from openrtc.supervisor.nursery import Nursery
from openrtc.supervisor.part import SPAWNER, WORKER, Part, same_command
from openrtc.worker.leash import Leash, put_on_leash
from openrtc.worker.leave import leave
from openrtc.worker.speed.imports import imports_are_done

logger = logging.getLogger("openrtc.supervisor")

THREADS = Path("/proc/self/task")

THREAD_ENDS_SECONDS = 0.5
"""For how long a thread that is about to end, or was joined, may still be there."""

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A service manager may signal all processes at once; here only the supervisor and the workers act on that."""


def play(part: Part, config: Config, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Play a part of ``openrtc start --processes``; returns the exit code.

    Args:
        part: The part.
        config: The settings.
        arguments: Further arguments of ``build_runtime``.
        environ: The environment that the process was started with.
    """
    connection = socket.socket(fileno=part.descriptor)
    if part.name == WORKER:
        return run_numbered(part.number, connection, config, arguments)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    if part.name == SPAWNER:
        return _spawn_workers(connection, environ)
    return _fork_workers(connection, config, arguments, environ)


def why_not_fork() -> str | None:
    """Return why this process must not fork now, or None when it has exactly one thread and the system allows it."""
    if not THREADS.exists():
        return "only Linux tells how many threads a process has"
    until = time.monotonic() + THREAD_ENDS_SECONDS
    while True:
        native, known = len(list(THREADS.iterdir())), [thread.name for thread in threading.enumerate()]
        if native == len(known) == 1:
            return None
        if time.monotonic() > until:
            break
        time.sleep(0.005)
    how_many = "a thread" if native == 2 else f"{native - 1} threads"
    return f"a package has started {how_many} at import: {', '.join(known[1:]) or 'native code'}"


def run_numbered(number: int, connection: socket.socket, config: Config, arguments: Mapping[str, Any]) -> int:
    """Run a worker that was started separately; returns its exit code."""
    from openrtc.worker.run import run_worker

    _become(number, connection)
    return run_worker(numbered(config, number), arguments)


def numbered(config: Config, number: int) -> Config:
    """Return the settings of the worker with this number: the first has the health port, each further one the next."""
    port = config.worker.port
    return replace(config, worker=replace(config.worker, port=port + number if port else 0))


def _become(number: int, connection: socket.socket) -> None:
    number_lines(number)
    put_on_leash(Leash(connection))


def _fork_workers(
    connection: socket.socket, config: Config, arguments: Mapping[str, Any], environ: Mapping[str, str]
) -> int:
    from openrtc.worker.run import load_all, run_calls

    began = time.monotonic()
    runtime = load_all(config, arguments)

    def work(number: int, leash: socket.socket) -> int:
        _become(number, leash)
        runtime.config = numbered(config, number)
        return run_calls(runtime, arguments)

    if problem := why_not_fork():
        logger.warning("workers share no memory and start slowly: %s", problem)
        _start_again_as(SPAWNER, connection, environ)
    imports_are_done()  # the collector would write to the pages of all this, and workers not share them any more
    nursery = Nursery(connection, lambda number, leash, let_go: _fork(work, number, leash, let_go))
    nursery.tell("ready", how="forked", seconds=time.monotonic() - began)
    nursery.run()
    return 0


def _fork(
    work: Callable[[int, socket.socket], int], number: int, leash: socket.socket, let_go: Callable[[], None]
) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        let_go()
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()
        code = work(number, leash)
    except OpenRTCError as error:
        print(f"openrtc: {error}", file=sys.stderr)
        code = 2
    except BaseException:
        logger.exception("worker %d failed", number)
    finally:
        leave(code)


def _spawn_workers(connection: socket.socket, environ: Mapping[str, str]) -> int:
    def spawn(number: int, leash: socket.socket, let_go: Callable[[], None]) -> int:
        leash.set_inheritable(True)
        command, part = same_command(), Part(WORKER, leash.fileno(), number)
        return os.posix_spawn(command[0], command, part.put_into(environ), setsigdef=IGNORED)

    nursery = Nursery(connection, spawn)
    nursery.tell("ready", how="started separately", seconds=0.0)
    nursery.run()
    return 0


def _start_again_as(name: str, connection: socket.socket, environ: Mapping[str, str]) -> NoReturn:
    """Become a process of another part, without all that was loaded."""
    connection.set_inheritable(True)
    command = same_command()
    os.execve(command[0], command, Part(name, connection.fileno()).put_into(environ))
