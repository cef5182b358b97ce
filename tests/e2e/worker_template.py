"""A process that has imported what ``openrtc start`` imports before any package, and forks workers from there.

To import livekit-agents takes two seconds of a processor, which is nine tenths of what the start of a worker takes, or
of a chat in the console. What is forked begins with the same first line of `openrtc` as what is started by its command
line, with arguments, environment, path, folder and session of its own. Another template may have run other code first.

Where agents run in processes of their own, the fork server of these may be forked too; what the true one does at its
start, `e2e.test_isolation` tests.

This file is also the program of that process. It reads requests from the socket that is its standard input, each a JSON
line with the descriptors of input, output and errors beside it, and answers with a line when a process is there and
another one when it ends.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import json
import os
import random
import resource
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

NAMES = ("call", "connect", "console", "demo", "dev", "dispatch", "sip", "start", "token")
COMMANDS = [("-m", "openrtc", name) for name in NAMES]
"""What imports some of what the worker's template has imported."""
LK = ("-m", "livekit.agents")
"""What the program ``lk`` runs: livekit-agents is imported before anything of OpenRTC."""
BY_LK = "import livekit.agents.cli.cli\nfrom openrtc.worker import run"
LOADING = "--load"
"""The option with which other commands do."""
STARTED_OTHERWISE = ("--processes", "--speedups")
"""Options with which a worker imports nothing, or something else, before packages."""
READ_AT_IMPORT = ("LIVEKIT_", "LK_", "OTEL_", "PYTHON")
"""How variables begin that are looked at when livekit-agents and what it needs are imported."""
NOT_READ_AT_IMPORT = ["LIVEKIT_AGENT_NAME", "LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"]
NOT_READ_AT_IMPORT += ["PYTHONPATH", "PYTHONUNBUFFERED"]
MOST_AT_ONCE = 1 << 20


class ForkedProcess:
    """A forked process, with what `subprocess.Popen` has of it.

    Args:
        args: Its command line.
        pid: Its process id.
        ended: Waits some seconds at most, and returns its exit code; None while it runs.
    """

    stdout = None

    def __init__(self, args: Sequence[str], pid: int, ended: Callable[[float], int | None]) -> None:
        self.args = args
        self.pid = pid
        self._ended = ended

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._ended(0.0)

    def wait(self, timeout: float) -> int:
        """Return the exit code as soon as there is one.

        Raises:
            subprocess.TimeoutExpired: There is none in time.
        """
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code


class Template:
    """The process, as tests see it.

    Args:
        code: What it runs first; without, it imports what workers do.
        environ: The environment in which it does; by default this process's.
    """

    def __init__(self, code: str = "", environ: Mapping[str, str] = os.environ) -> None:
        ours, theirs = socket.socketpair()
        self._socket = ours
        environ = {**environ, "PYTHONIOENCODING": "utf-8"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, code], stdin=theirs.fileno(), env=environ, start_new_session=True
            )
        atexit.register(self.close)
        self._changed = threading.Condition()
        self._pids: dict[int, int] = {}
        self._codes: dict[int, int] = {}
        self._lock = threading.Lock()
        self._count = 0
        threading.Thread(target=self._read, daemon=True, name="worker template").start()

    def start(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        cwd: Path | None,
        files: Sequence[int],
        descriptors: int | None = None,
        isolates: bool = False,
    ) -> ForkedProcess:
        """Fork a process.

        Args:
            command: What comes after the Python interpreter: ``-m`` and a module, ``-c`` and code, or a file, and
                arguments.
            environ: Its environment.
            cwd: Its working directory, if not this process's.
            files: The descriptors of its input, output and errors.
            descriptors: How many it may open at most, if not as many as this process.
            isolates: Whether its fork server, of `multiprocessing`, is forked as well.
        """
        with self._lock:
            self._count += 1
            number = self._count
            order = {
                "number": number,
                "command": list(command),
                "environ": dict(environ),
                "cwd": str(cwd or Path.cwd()),
                "descriptors": descriptors,
                "isolates": isolates,
            }
            data = json.dumps(order).encode() + b"\n"
            sent = socket.send_fds(self._socket, [data], files)
            self._socket.sendall(data[sent:])
        with self._changed:
            assert self._changed.wait_for(lambda: number in self._pids, 100.0), "nothing was forked"
            pid = self._pids[number]
        return ForkedProcess(command, pid, functools.partial(self._wait_for_code, number))

    def run(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str] = os.environ,
        cwd: Path | None = None,
        typed: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Fork a process and wait for its end, two minutes at most.

        Args:
            command: As for `start`.
            environ: Its environment.
            cwd: Its working directory, if not this process's.
            typed: What it reads from a pipe.
        """
        reading, writing = os.pipe()
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            os.write(writing, typed.encode())
            os.close(writing)
            files = (reading, output.fileno(), errors.fileno())
            process = self.start(command, environ=environ, cwd=cwd, files=files)
            os.close(reading)
            try:
                code = process.wait(120)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                raise
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(command, code, output.read().decode(), errors.read().decode())

    def close(self) -> None:
        """End the process."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._process.wait(10)

    def _wait_for_code(self, number: int, timeout: float) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: number in self._codes, timeout)
            return self._codes.get(number)

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                answer = json.loads(line)
                with self._changed:
                    {"pid": self._pids, "code": self._codes}[answer["what"]][answer["number"]] = answer["value"]
                    self._changed.notify_all()


@functools.cache
def worker_template(code: str = "") -> Template:
    """Return this process's template of workers, or of what runs other code first."""
    return Template(code)


def find_template(command: Sequence[str], variables: Mapping[str, str]) -> Template | None:
    """Return what a command with these arguments and variables may be forked from, if it may."""
    read = [name for name in variables if name.startswith(READ_AT_IMPORT) and name not in NOT_READ_AT_IMPORT]
    if read or any(word.startswith(STARTED_OTHERWISE) for word in command):
        return None
    if tuple(command[:2]) == LK:
        return worker_template(BY_LK)
    return worker_template() if tuple(command[:3]) in COMMANDS or LOADING in command else None


class _Program:
    """Runs one thread and no loop, so that it is safe to fork."""

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=os.dup(0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._path = [folder for folder in sys.path[1:] if folder not in os.environ.get("PYTHONPATH", "").split(":")]
        self._unread = b""
        self._files: list[int] = []

    def run(self) -> tuple[dict[str, Any], list[int]] | None:
        """Fork until nobody wants any; returns an order in the child that has to follow it, with its descriptors."""
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._reap(key.fd, *key.data)
                    continue
                data, files, _, _ = socket.recv_fds(self._socket, MOST_AT_ONCE, 24)
                if not data:
                    return None
                self._files += files
                *lines, self._unread = (self._unread + data).split(b"\n")
                for line in lines:
                    order, files = json.loads(line), self._files[:3]
                    del self._files[:3]
                    pid = os.fork()
                    if not pid:
                        self._close()
                        return order, files
                    for file in files:
                        os.close(file)
                    self._answer("pid", order["number"], pid)
                    self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, order["number"]))

    def become(self, order: dict[str, Any], files: list[int], main: types.ModuleType) -> NoReturn:
        """Be what was asked for, in the child.

        Args:
            order: What was asked for.
            files: Its descriptors.
            main: Where code runs.
        """
        import runpy

        os.setsid()
        for descriptor, file in enumerate(files):
            os.dup2(file, descriptor)
            os.close(file)
            self._open_stream(descriptor)
        if (most := order["descriptors"]) is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        os.environ.clear()
        os.environ.update(order["environ"])
        os.chdir(order["cwd"])
        own = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
        kind, *words = order["command"]
        is_file = kind not in ("-m", "-c")
        sys.path[:] = [str(Path(kind).parent) if is_file else order["cwd"], *own, *self._path]
        sys.path_importer_cache.clear()
        sys.orig_argv[:] = [sys.executable, *order["command"]]
        sys.argv[:] = [kind, *words[not is_file :]]
        random.seed()
        if numpy := sys.modules.get("numpy"):
            numpy.random.seed()
        if order["isolates"]:
            _fork_fork_server()
        if kind == "-m":
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        elif is_file:
            runpy.run_path(kind, run_name="__main__")
        else:
            sys.modules["__main__"] = main
            exec(compile(words[0], "<string>", "exec"), vars(main))
        sys.exit()

    def _open_stream(self, descriptor: int) -> None:
        # As Python does it at its start: what a stream can do depends on whether it is a terminal, a pipe or a file.
        name = ("stdin", "stdout", "stderr")[descriptor]
        options: dict[str, Any] = {"encoding": "utf-8", "closefd": False}
        if name == "stderr":
            options["errors"] = "backslashreplace"
        by_line = name == "stderr" or os.isatty(descriptor)
        stream = open(descriptor, "w" if descriptor else "r", 1 if by_line else -1, **options)  # noqa: SIM115 - it stays open
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        for file in self._files:  # of further orders
            os.close(file)
        self._selector.close()
        self._socket.detach()

    def _answer(self, what: str, number: int, value: int) -> None:
        self._socket.sendall(json.dumps({"what": what, "number": number, "value": value}).encode() + b"\n")

    def _reap(self, descriptor: int, pid: int, number: int) -> None:
        self._selector.unregister(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        self._answer("code", number, os.waitstatus_to_exitcode(status))


def _fork_fork_server() -> None:
    # A child of this process, as the one that `multiprocessing` would start, which imports livekit-agents anew.
    from multiprocessing import util

    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        ours.close()
        _be_fork_server(theirs)
    theirs.close()
    start: Any = util.spawnv_passfds

    def hand_over(path: Any, args: Sequence[Any], descriptors: Sequence[int]) -> Any:
        if "multiprocessing.forkserver" not in args[-1] or ours.fileno() < 0:
            return start(path, args, descriptors)
        order = {"code": args[-1], "descriptors": list(descriptors), "environ": dict(os.environ)}
        with ours:
            socket.send_fds(ours, [b"f"], [0, 1, 2, *descriptors])
            ours.sendall(json.dumps(order).encode())
        return pid

    vars(util)["spawnv_passfds"] = hand_over


def _be_fork_server(asks: socket.socket) -> NoReturn:
    _, files, _, _ = socket.recv_fds(asks, 1, 24)
    if not files:  # it has ended without one
        os._exit(0)
    with asks, asks.makefile() as sent:
        order = json.loads(sent.read())
    wanted = [0, 1, 2, *order["descriptors"]]
    files = [fcntl.fcntl(file, fcntl.F_DUPFD, max(wanted) + 1) for file in files]
    os.closerange(3, max(wanted) + 1)
    for file, descriptor in zip(files, wanted, strict=True):
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(order["environ"])
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(order["code"], vars(main))
    sys.exit()


def _import_all() -> None:
    from openrtc.cli import main, start, worker_output  # noqa: F401
    from openrtc.speedups.imports import speed_up_imports
    from openrtc.speedups.registry import SPEEDUPS

    speed_up_imports(SPEEDUPS)
    from openrtc.worker import run  # noqa: F401


def _warm_up() -> None:
    # What each worker would read again: livekit's sources, certificates and patterns take half of its start.
    from openrtc.upstream.digest import find_changes
    from openrtc.upstream.known_code import USED_BY
    from openrtc.upstream.warm_up import warm_up

    warm_up(end_of_turn=False, openai=False)
    find_changes(*USED_BY)


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # tests that are interrupted close it
    main = types.ModuleType("__main__")
    if code := sys.argv[1]:
        exec(code, vars(main))
    else:
        _import_all()
    if "openrtc.worker.run" in sys.modules:
        _warm_up()
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    program = _Program()
    if forked := program.run():
        program.become(*forked, main)


if __name__ == "__main__":
    _main()
