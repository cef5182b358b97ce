"""A worker in a process of its own: what it is started with, what it logs, and how it ends."""

from __future__ import annotations

import functools
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from e2e.child import environment
from e2e.server_api import ServerApi
from e2e.worker_template import ForkedProcess, Template, find_template
from openrtc.observe.snapshots import read_snapshots

REGISTERED = r"registered worker"
TRACEBACK = "Traceback (most recent call last)"
_POLL = 0.05


class WorkerProcess:
    """A worker's process: stdout and stderr go to one log.

    Args:
        command: What to run, after the Python interpreter: ``["-m", "openrtc", "start"]`` or ``["script.py"]``.
        api: The server that the worker registers with.
        log: File that the output goes to.
        folders: Folders with packages, put on the Python path.
        variables: Environment variables, over those of this process.
        python: The interpreter; this one by default.
        cwd: Working directory.
        ready: Regular expression for the log line by which the worker says that it is ready.
        piped: Whether the output comes through a pipe, whose reader can be let stand still: see `pause_reading`.
        descriptors: How many descriptors each of its processes may open at most, if not as many as this one.
        alone: Whether it shares no memory with others, as it would where it is forked from `worker_template`.
        template: What it is forked from instead, whatever its command.
        isolates: Whether agents run in processes of their own: their fork server then imports nothing anew either.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        api: ServerApi,
        log: Path,
        folders: Sequence[Path] = (),
        variables: Mapping[str, str] | None = None,
        python: Path | None = None,
        cwd: Path | None = None,
        ready: str = REGISTERED,
        piped: bool = False,
        descriptors: int | None = None,
        alone: bool = False,
        template: Template | None = None,
        isolates: bool = False,
    ) -> None:
        self.log_path = log
        self._ready = re.compile(ready)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("wb")
        connection = {"LIVEKIT_URL": api.url, "LIVEKIT_API_KEY": api.key, "LIVEKIT_API_SECRET": api.secret}
        environ = environment(*folders, PYTHONUNBUFFERED="1", **connection, **(variables or {}))
        by_itself = alone or piped or python is not None
        self._process: subprocess.Popen[bytes] | ForkedProcess
        if template := template or (None if by_itself else find_template(command, variables or {})):
            output = self._log.fileno()
            with open(os.devnull, "rb") as nothing:
                files = (nothing.fileno(), output, output)
                more: dict[str, Any] = {"files": files, "descriptors": descriptors, "isolates": isolates}
                self._process = template.start(command, environ=environ, cwd=cwd, **more)
        else:
            self._process = subprocess.Popen(
                [str(python or sys.executable), *command],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else self._log,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                start_new_session=True,
                preexec_fn=None if descriptors is None else functools.partial(_limit_descriptors, descriptors),
            )
        self._reads = threading.Event()
        self._reads.set()
        if piped:
            self._reader = threading.Thread(target=self._read, daemon=True, name="worker's log")
            self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def pause_reading(self) -> None:
        """Let the reader of the worker's output stand still."""
        self._reads.clear()

    def go_on_reading(self) -> None:
        """Let it read again."""
        self._reads.set()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while data := os.read(self._process.stdout.fileno(), 4096):
            self._log.write(data)
            self._log.flush()
            self._reads.wait()

    def children(self) -> list[psutil.Process]:
        """Return all processes that it has started, but the one that hands its output on, which ends after it."""
        found = psutil.Process(self.pid).children(recursive=True)
        return [child for child in found if not any(word.endswith("line_relay.py") for word in _read_command(child))]

    def log(self) -> str:
        """Return all that it has written."""
        return self.log_path.read_text(errors="replace")

    def snapshot(self) -> dict[str, Any]:
        """Return what ``openrtc top --json`` shows of it."""
        return next(one for one in read_snapshots() if one.get("pid") == self.pid)

    def tail(self, lines: int = 60) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log().splitlines()[-lines:])

    def records(self, message: str = "") -> list[dict[str, Any]]:
        """Return the log's JSON lines, those whose message matches a regular expression."""
        found = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [record for record in found if re.search(message, str(record.get("message", "")))]

    def wait_until_ready(self, timeout: float = 100.0) -> Self:
        """Wait until the worker is registered.

        Raises:
            AssertionError: It has ended, or is not registered in time; then with the log's last lines.
        """
        self.wait_for_log(self._ready.pattern, timeout)
        return self

    def wait_for_log(self, pattern: str, timeout: float = 30.0) -> str:
        """Return the first line of the log that matches a regular expression, as soon as there is one."""
        wanted, until = re.compile(pattern), time.monotonic() + timeout
        while True:
            ended = not self.running
            for line in self.log().splitlines():
                if wanted.search(line):
                    return line
            if ended or time.monotonic() > until:
                why = f"ended with {self.exit_code}" if ended else f"{timeout:g} s are over"
                raise AssertionError(f"no line like {pattern!r}: {why}\n{self.tail()}")
            time.sleep(_POLL)

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to the worker's process alone."""
        os.kill(self.pid, number)

    def wait(self, timeout: float = 30.0) -> int:
        """Return the exit code as soon as the process has ended."""
        return self._process.wait(timeout)

    def stop(self, timeout: float = 30.0) -> None:
        """Send SIGTERM and wait.

        Raises:
            AssertionError: It does not end in time, not with 0, or leaves processes behind.
        """
        children = self.children() if self.running else []
        if self.running:
            self.signal()
        try:
            code = self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the worker did not end in {timeout:g} s\n{self.tail()}") from None
        _, left = psutil.wait_procs(children, timeout=5)
        assert code == 0, f"the worker ended with {code}\n{self.tail()}"
        assert not left, f"the worker left processes behind: {left}"

    def kill(self) -> None:
        """End the process and its children at once, if they still run."""
        if self.running:
            for process in [*self.children(), psutil.Process(self.pid)]:
                process.kill()
        self._process.wait(10)
        if self._process.stdout:
            self._reads.set()
            self._reader.join(10)
            self._process.stdout.close()
        self._log.close()


def _limit_descriptors(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _read_command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended meanwhile, or is a zombie
        return []


def openrtc_worker(api: ServerApi, log: Path, *options: str, **more: Any) -> WorkerProcess:
    """Return a started ``openrtc start`` with JSON logs and a free health port.

    Args:
        api: The server that it registers with.
        log: File that its output goes to.
        *options: Further options of the command.
        **more: Further arguments of `WorkerProcess`.
    """
    command = ["-m", "openrtc", "start", "--log-format", "json", "--port", "0", *options]
    return WorkerProcess(command, api=api, log=log, **more)
