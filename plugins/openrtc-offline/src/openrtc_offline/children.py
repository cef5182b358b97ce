"""Child processes that do the heavy or GPL-licensed work, shared by all calls of the worker."""

from __future__ import annotations

import asyncio
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import IO, Any, cast

from openrtc_offline.framing import Message, read_message, write_message

PATIENCE = 30.0
"""Seconds after which a child that does not answer is killed."""


class ChildError(Exception):
    """A child process died, hung or could not answer; told in one line."""


class _Request:
    def __init__(self, header: dict[str, Any], payload: bytes) -> None:
        self.header, self.payload = header, payload
        self.answer: Future[Message] = Future()


class ChildPool:
    """Children that run one Python module, each answering one request at a time, first come first served.

    A child is started when a request waits and none is free, and anew after it died. Requests may come from any
    thread and any event loop. A child ends when the pool is closed or when this process ends, however it ends.

    Args:
        module: The module that a child runs; its main function calls `openrtc_offline.child_main.serve`.
        size: How many children there are at most.
        arguments: Command-line arguments of the module.
    """

    def __init__(self, module: str, size: int = 1, arguments: Sequence[str] = ()) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._size = size
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._keepers: list[_Keeper] = []
        self._waiting = 0
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Process ids of the children that run."""
        with self._lock:
            return [pid for keeper in self._keepers if (pid := keeper.pid) is not None]

    async def ask(self, header: dict[str, Any], payload: bytes = b"") -> Message:
        """Return a child's answer; raises `ChildError` when there is none."""
        answer, payload = await asyncio.wrap_future(self.submit(header, payload))
        if "error" in answer:
            raise ChildError(str(answer["error"]))
        return answer, payload

    def submit(self, header: dict[str, Any], payload: bytes = b"") -> Future[Message]:
        """Queue a request; the answer may hold ``error``."""
        request = _Request(header, payload)
        with self._lock:
            if self._closed:
                raise ChildError("the worker is stopping")
            self._waiting += 1
            if len(self._keepers) < self._size and self._waiting > sum(k.free for k in self._keepers):
                self._keepers.append(_Keeper(self._command, self))
            self._requests.put(request)
        return request.answer

    def next_request(self) -> _Request | None:
        """Wait for the next request that is still wanted; None when the pool is closed."""
        while (request := self._requests.get()) is not None:
            with self._lock:
                self._waiting -= 1
            if request.answer.set_running_or_notify_cancel():
                return request
        return None

    def close(self) -> None:
        """End all children and wait for them; requests that wait fail. May be called twice."""
        with self._lock:
            self._closed, keepers, self._keepers = True, self._keepers, []
        while True:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                break
            if request is not None and request.answer.set_running_or_notify_cancel():
                request.answer.set_exception(ChildError("the worker is stopping"))
        for _ in keepers:
            self._requests.put(None)
        for keeper in keepers:
            keeper.close()


class _Keeper:
    """A thread that keeps one child and passes requests to it."""

    def __init__(self, command: list[str], pool: ChildPool) -> None:
        self._command, self._pool = command, pool
        self._process: subprocess.Popen[bytes] | None = None
        self.free = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="openrtc-offline-child", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def close(self) -> None:
        self._closing = True
        if (process := self._process) is not None:
            _end(process)
        self._thread.join(timeout=5.0)
        if (process := self._process) is not None:
            _end(process)

    def _run(self) -> None:
        while True:
            self.free = True
            request = self._pool.next_request()
            self.free = False
            if request is None:
                return
            try:
                request.answer.set_result(self._exchange(request))
            except Exception as error:
                request.answer.set_exception(self._explained(error))

    def _exchange(self, request: _Request) -> Message:
        process = self._running()
        alarm = threading.Timer(PATIENCE, process.kill)
        alarm.start()
        try:
            write_message(cast(Any, process.stdin), request.header, request.payload)
            return read_message(cast(Any, process.stdout))
        finally:
            alarm.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closing:
            raise ChildError("the worker is stopping")
        if self._process is None or self._process.poll() is not None:
            # Its own session: Ctrl-C in the terminal is for the worker, which ends its children itself.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self._process

    def _explained(self, error: Exception) -> ChildError:
        process, self._process = self._process, None
        if isinstance(error, ChildError):
            return error
        if process is None:
            return ChildError(f"{self._command[2]} cannot be started: {error}")
        _end(process)
        return ChildError(f"{self._command[2]} ended with code {process.returncode}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        _close(pipe)


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        try:
            pipe.close()
        except BrokenPipeError:
            return  # what it still held was meant for a child that is gone
