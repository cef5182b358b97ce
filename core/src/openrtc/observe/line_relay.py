"""Writes lines to where they may have to wait, without letting anybody wait: a queue and a thread; a process with two.

`LineWriter` is a bounded queue with a thread that writes it. Run as a program, this file is a process that reads the
worker's standard output and standard error from two pipes and writes them to where they went before: see `stdio`. It
lives beside the worker and not in it, so that what the worker wrote last is not lost when a signal ends it, and so that
native code and child processes never wait either. It imports nothing but what it needs: it takes 4 MB of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

TYPE_CHECKING = False  # as in `typing`, whose import would take longer than all others together
if TYPE_CHECKING:
    from typing import Any

LIMIT_BYTES = 4_000_000
"""Bytes that wait at most: over ten thousand lines of a log, half an hour of a busy worker."""
BATCH_BYTES = 4096
"""Bytes of one write at most, if the lines are that short: a pipe takes so many whole or not at all (PIPE_BUF)."""
FULL_SECONDS = 0.05
"""Between two attempts to write to what says that it is full, and wakes nobody when it is not."""
PROBLEM_SECONDS = 0.5
"""Between two attempts to write to what says that it cannot be written: a full disk, a pipe without a reader."""
LAST_SECONDS = 1.0
"""How long the end of a process may wait for its last lines to be written."""
UNFINISHED_SECONDS = 0.2
"""After so long, the beginning of a line goes out without its end: it may ask somebody something."""
READ_BYTES = 65_536
"""Bytes of one read: as many as a pipe holds."""

NO_READER = (errno.EPIPE, errno.ENXIO)
"""Of a pipe that nobody reads, or nobody reads yet."""

Tell = Callable[[int, str, float], bytes | None]
"""Told what was dropped: how many lines, why (empty: nobody read them), and for how many seconds nothing could be
written. What it returns is written in the gap."""


class LineWriter:
    """A bounded queue of lines, and a thread that writes them, as late as may be.

    Args:
        write: Writes the beginning of some bytes and returns how many, like ``os.write``; it may wait. What it cannot
            write now is tried again.
        tell: Told in the thread, when lines were dropped and lines can be written again: for each time once.
        limit: Bytes that wait at most; what comes beyond is dropped.
        batch: Bytes of several lines that are written at once; 0: each piece that was put is written by itself.
        warn: Told in the thread why nothing can be written, when that begins.
        name: Of the thread.
    """

    def __init__(
        self,
        write: Callable[[bytes], int],
        tell: Tell,
        *,
        limit: int = LIMIT_BYTES,
        batch: int = BATCH_BYTES,
        warn: Callable[[str], None] = lambda problem: None,
        name: str = "lines",
    ) -> None:
        self._write = write
        self._tell = tell
        self._warn = warn
        self._limit = limit
        self._batch = batch
        self._changed = threading.Condition()
        self._waiting: deque[bytes | tuple[int, float]] = deque()  # a tuple stands where lines were dropped
        self._size = 0
        self._dropped = 0
        self._blocked_from = 0.0
        self._problem = ""
        self._writing = False
        self._last_written = time.monotonic()
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name=name)
        self._thread.start()

    def put(self, piece: bytes) -> bool:
        """Let bytes be written, whole lines; return whether there was room for them. Never waits."""
        with self._changed:
            # Once some are dropped, more are until half of the room is free: else each gap would be told by itself.
            room = self._limit // 2 if self._dropped else self._limit
            if self._size + len(piece) > room and self._size:
                if not self._dropped:
                    self._blocked_from = self._last_written
                self._dropped += max(1, piece.count(b"\n"))
                return False
            self._note_gap()
            self._waiting.append(piece)
            self._size += len(piece)
            self._changed.notify_all()
            return True

    @property
    def idle(self) -> bool:
        """Whether everything is written."""
        return not (self._waiting or self._writing or self._dropped)

    def flush(self, seconds: float = LAST_SECONDS) -> bool:
        """Wait until everything is written, for so many seconds at most; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self.idle, seconds)

    def close(self, seconds: float = LAST_SECONDS) -> None:
        """Flush, and end the thread; one that waits for what it writes to ends with the process."""
        self.flush(seconds)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(0 if self._writing else seconds)

    def _note_gap(self) -> None:
        if self._dropped:
            self._waiting.append((self._dropped, self._blocked_from))
            self._dropped = 0

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                if not self._waiting:
                    self._note_gap()
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                piece = self._take()
                self._writing = True
            if isinstance(piece, tuple):
                lines, since = piece
                notice = self._tell(lines, self._problem, time.monotonic() - since)
                self._problem, piece = "", notice or b""
            self._write_all(piece)

    def _take(self) -> bytes | tuple[int, float]:
        first = self._waiting.popleft()
        if isinstance(first, tuple):
            return first
        self._size -= len(first)
        if len(first) > self._batch > 0:  # of many short lines, as many as a pipe takes at once
            end = first.rfind(b"\n", 0, self._batch) + 1 or first.find(b"\n") + 1
            if 0 < end < len(first):
                self._waiting.appendleft(first[end:])
                self._size += len(first) - end
                return first[:end]
        while self._waiting and not isinstance(more := self._waiting[0], tuple):
            if len(first) + len(more) > self._batch:
                break
            self._waiting.popleft()
            self._size -= len(more)
            first += more
        return first

    def _write_all(self, piece: bytes) -> None:
        rest = piece
        while rest and not self._closed:
            try:
                written = self._write(rest)
            except BlockingIOError:
                time.sleep(FULL_SECONDS)
            except StartAgain:
                rest = piece
            except OSError as error:
                self._note_problem(error)
                time.sleep(PROBLEM_SECONDS)
            else:
                rest = rest[written:]
                self._last_written = time.monotonic()

    def _note_problem(self, error: OSError) -> None:
        problem = "" if error.errno in NO_READER else error.strerror or str(error)
        if problem and problem != self._problem:
            self._warn(problem)
        self._problem = problem


class StartAgain(OSError):
    """The beginning of what is being written is gone: somebody has emptied the file."""


class Descriptor:
    """Writes to a descriptor; a file that is emptied while its disk is full does not begin in the middle of a line.

    Args:
        number: The descriptor.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._size = 0  # of a file that holds the beginning of a line, else 0

    def __call__(self, data: bytes) -> int:
        """Write the beginning of some bytes, and return how many.

        Raises:
            StartAgain: The bytes before these are gone.
            OSError: It cannot be written now.
        """
        if self._size and os.fstat(self._number).st_size < self._size:
            self._size = 0
            raise StartAgain
        written = os.write(self._number, data)
        self._size = 0
        if written < len(data):
            found = os.fstat(self._number)
            self._size = found.st_size if stat.S_ISREG(found.st_mode) else 0
        return written


class Source:
    """One of the worker's two streams.

    Args:
        pipe: Its end of the pipe from which the lines come.
        writer: Where they go.
    """

    def __init__(self, pipe: int, writer: LineWriter) -> None:
        self.pipe = pipe
        self.writer = writer
        self._unfinished = b""

    @property
    def unfinished(self) -> bool:
        """Whether there is the beginning of a line."""
        return bool(self._unfinished)

    def read(self) -> bool:
        """Take what there is; return whether there may be more."""
        data = os.read(self.pipe, READ_BYTES)
        lines, newline, rest = (self._unfinished + data).rpartition(b"\n")
        self._unfinished = rest
        if newline:
            self.writer.put(lines + newline)
        if not data or len(rest) > READ_BYTES:
            self.pass_unfinished()
        return bool(data)

    def pass_unfinished(self) -> None:
        """Let the beginning of a line go out without its end."""
        if self._unfinished:
            self.writer.put(self._unfinished)
            self._unfinished = b""


def describe_gap(what: str, style: str, lines: int, problem: str, seconds: float) -> bytes:
    """Return a line of the log that says what was dropped.

    Args:
        what: What they were written to, for people: ``standard error``.
        style: ``text`` or ``json``.
        lines: How many.
        problem: Why it could not be written; empty: nobody read it.
        seconds: For how long.
    """
    message = f"{describe_drop(lines, 'line')} because {describe_reason(what, problem, seconds)}"
    now = time.time()
    if style != "json":
        return f"{time.strftime('%H:%M:%S', time.localtime(now))} WARNING openrtc.observe: {message}\n".encode()
    clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"
    return (
        f'{{"time": "{clock}", "level": "warning", "logger": "openrtc.observe", "message": "{message}", '
        f'"dropped": {lines}}}\n'
    ).encode()


def describe_drop(number: int, what: str) -> str:
    """Return ``3 lines were dropped``."""
    return f"1 {what} was dropped" if number == 1 else f"{number} {what}s were dropped"


def describe_reason(what: str, problem: str, seconds: float) -> str:
    """Return why something was dropped; as for `describe_gap`."""
    return (
        f"{what} could not be written for {seconds:.0f} s: {problem}"
        if problem
        else (f"nobody read {what} for {seconds:.0f} s")
    )


class Relay:
    """Hands on what comes from the sources until nobody can write to them any more.

    Args:
        sources: The worker's streams.
        control: A socket: each byte from it is answered when all that was written before is out, or cannot be.
    """

    def __init__(self, sources: list[Source], control: int) -> None:
        self._sources = sources
        self._control = control
        self._open = {source.pipe: source for source in sources}
        self._poll = select.poll()
        for pipe in self._open:
            self._poll.register(pipe, select.POLLIN)

    def run(self) -> None:
        """Run until the end."""
        self._poll.register(self._control, select.POLLIN)
        while self._open:
            waits = any(source.unfinished for source in self._sources)
            ready = [number for number, _ in self._poll.poll(UNFINISHED_SECONDS * 1000 if waits else None)]
            self._read(ready)
            if self._control in ready:
                self._follow()
            elif not ready:
                self._pass_unfinished()
        self._flush()

    def _read(self, ready: list[int]) -> None:
        for number in ready:
            if number in self._open and not self._open[number].read():
                self._poll.unregister(number)
                del self._open[number]

    def _follow(self) -> None:
        self._poll.unregister(self._control)
        asked = b""
        with contextlib.suppress(ConnectionError):  # it has ended before it read an answer
            asked = os.read(self._control, READ_BYTES)
        if not asked:
            return  # who started this has ended; what it has started may still write
        until = time.monotonic() + LAST_SECONDS
        while (ready := self._poll.poll(0)) and time.monotonic() < until:
            self._read([number for number, _ in ready])
        self._pass_unfinished()
        self._poll.register(self._control, select.POLLIN)
        threading.Thread(target=self._answer, daemon=True, name="flush").start()  # others go on to write meanwhile

    def _answer(self) -> None:
        self._flush()
        with contextlib.suppress(OSError):  # who asked waits no more
            os.write(self._control, b".")

    def _pass_unfinished(self) -> None:
        for source in self._sources:
            source.pass_unfinished()

    def _flush(self) -> None:
        until = time.monotonic() + LAST_SECONDS
        for source in self._sources:
            source.writer.flush(max(0.0, until - time.monotonic()))


def main(arguments: list[str]) -> None:
    """Run the process: ``STYLE CONTROL PIPE STREAM [PIPE STREAM]``; all but the first are descriptors.

    Standard error comes first; with one pair only, both streams go to the same place.
    """
    # Whoever signals a whole group means the worker; this one ends when nobody can write to it any more.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGTSTP", "SIGQUIT"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    style, numbers = arguments[0], [int(argument) for argument in arguments[1:]]
    control, err_pipe, err, *more = numbers
    target = "standard error" if more else "the log"
    errors = LineWriter(Descriptor(err), lambda *gap: describe_gap(target, style, *gap), name=target)
    sources = [Source(err_pipe, errors)]
    if more:

        def tell_in_log(*gap: Any) -> None:
            errors.put(describe_gap("standard output", style, *gap))

        out_pipe, out = more
        sources.append(Source(out_pipe, LineWriter(Descriptor(out), tell_in_log, name="standard output")))
    Relay(sources, control).run()
    os._exit(0)  # a thread that still waits for its reader is left behind


if __name__ == "__main__":
    main(sys.argv[1:])
