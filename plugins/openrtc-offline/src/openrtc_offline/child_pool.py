"""`ChildPool`: child processes for the heavy or GPL-licensed work, shared by all calls of the worker."""

from __future__ import annotations

import asyncio
import os
import queue
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import IO, Any, cast

from openrtc_offline.child_process import Message, read_message, write_message

ANSWER_SECONDS = 30.0
"""A child that does not answer for so long is killed. A fresh one first loads its model, on a busy machine slowly."""


LAST_LINE_SECONDS = 1.0
"""What a dead child has started may hold its stderr open."""
LONGEST_REASON = 300
"""Characters of what a child has said at its end."""

_SECRET = re.compile(r"(.*_)?(KEY|SECRET|TOKEN|PASSWORD|CREDENTIALS)(_.*)?", re.IGNORECASE)


class ChildError(Exception):
    """A child process died, hung or could not answer; the message is one line."""


Payload = bytes | Callable[[], bytes]
"""What goes with a request; a function is called in the child's thread, where it holds no loop."""


class _Request:
    def __init__(self, header: dict[str, Any], payload: Payload) -> None:
        self.header, self.payload = header, payload
        self.answer: Future[Message] = Future()


class ChildPool:
    """Children that run one Python module, each answering one request at a time, first come first served.

    A child is started when a request waits and none is free, and anew after it died. Requests may come from any
    thread and any event loop. A child ends when the pool is closed or when this process ends, however it ends.

    Args:
        module: The module that a child runs; its main function calls `openrtc_offline.child_process.serve`.
        size: How many children there are at most.
    """

    def __init__(self, module: str, size: int = 1) -> None:
        # Without the working folder, in which a module may have the name of one of Python's.
        self._command = [sys.executable, "-P", "-m", module]
        self._size = size
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[_ChildThread] = []
        self._waiting = 0
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Process ids of the children that run."""
        with self._lock:
            return [pid for thread in self._threads if (pid := thread.pid) is not None]

    async def ask(self, header: dict[str, Any], payload: Payload = b"") -> Message:
        """Return a child's answer; raises `ChildError` when there is none."""
        answer, result = await asyncio.wrap_future(self.submit(header, payload))
        if "error" in answer:
            raise ChildError(str(answer["error"]))
        return answer, result

    def submit(self, header: dict[str, Any], payload: Payload = b"") -> Future[Message]:
        """Queue a request; the answer may hold ``error``."""
        request = _Request(header, payload)
        with self._lock:
            if self._closed:
                raise ChildError("the worker is stopping")
            self._waiting += 1
            if len(self._threads) < self._size and self._waiting > sum(thread.free for thread in self._threads):
                self._threads.append(_ChildThread(self._command, self))
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
            self._closed, threads, self._threads = True, self._threads, []
        while True:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                break
            if request is not None and request.answer.set_running_or_notify_cancel():
                request.answer.set_exception(ChildError("the worker is stopping"))
        for _ in threads:
            self._requests.put(None)
        for thread in threads:
            thread.close()


class _ChildThread:
    """A thread that runs one child and passes requests to it: its pipes would block an event loop."""

    def __init__(self, command: list[str], pool: ChildPool) -> None:
        self._command, self._pool = command, pool
        self._process: subprocess.Popen[bytes] | None = None
        self._last_line = deque[bytes](maxlen=1)
        self._listening: threading.Thread | None = None
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
            _kill(process)
        self._thread.join(timeout=5.0)
        if (process := self._process) is not None:  # started at the same moment
            _kill(process)

    def _run(self) -> None:
        while True:
            self.free = True
            request = self._pool.next_request()
            self.free = False
            if request is None:
                return
            try:
                payload = request.payload if isinstance(request.payload, bytes) else request.payload()
            except Exception as error:  # whatever the function raises is no fault of the child
                self.free = True
                request.answer.set_exception(error)
                continue
            try:
                answer = self._exchange_messages(request.header, payload)
            except Exception as error:  # whatever went wrong, this request gets it, and the thread serves the next one
                failure = self._build_error(error)
                self.free = True
                request.answer.set_exception(failure)
            else:
                # Before the answer: whoever gets it may ask again at once, for which no second child is needed.
                self.free = True
                request.answer.set_result(answer)

    def _exchange_messages(self, header: dict[str, Any], payload: bytes) -> Message:
        process = self._ensure_process()
        alarm = threading.Timer(ANSWER_SECONDS, process.kill)
        alarm.start()
        try:
            write_message(cast(Any, process.stdin), header, payload)
            return read_message(cast(Any, process.stdout))
        finally:
            alarm.cancel()

    def _ensure_process(self) -> subprocess.Popen[bytes]:
        if self._closing:
            raise ChildError("the worker is stopping")
        if self._process is None or self._process.poll() is not None:
            # Its own session: Ctrl-C in the terminal is for the worker, which ends its children itself.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=drop_secrets(),
                start_new_session=True,
            )
            lines = cast(IO[bytes], self._process.stderr)
            self._last_line = deque[bytes](maxlen=1)
            self._listening = threading.Thread(target=_keep_last, args=(lines, self._last_line), daemon=True)
            self._listening.start()
        return self._process

    def _build_error(self, error: Exception) -> ChildError:
        process, self._process = self._process, None
        if isinstance(error, ChildError):
            return error
        module = self._command[-1]
        if process is None:
            return ChildError(f"{module} cannot be started: {error}")
        _kill(process)
        if self._listening:
            self._listening.join(LAST_LINE_SECONDS)
        said = b"".join(self._last_line).decode(errors="replace").strip()
        return ChildError(f"{module} ended with code {process.returncode}{': ' if said else ''}{said[:LONGEST_REASON]}")


def drop_secrets() -> dict[str, str]:
    """Return this process's environment without what looks like a secret: no child needs one."""
    return {name: text for name, text in os.environ.items() if not _SECRET.fullmatch(name)}


def _keep_last(lines: IO[bytes], last: deque[bytes]) -> None:
    """Read what a child says until it has ended, so that it never waits, and keep the end: it is why it has ended."""
    with lines:
        last.extend(lines)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        _close_pipe(pipe)


def _close_pipe(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        try:
            pipe.close()
        except BrokenPipeError:
            return  # what it still held was meant for a child that is gone
