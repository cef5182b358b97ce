"""Lets nothing in the worker wait for whoever reads its output: a process beside it takes and hands on what is written.

A reader that stands still (``| less``, Ctrl-S, a log driver that blocks) or a full disk would otherwise stop whoever
writes next, and that is the loop of all calls. The relay (`line_relay`) always takes what is written: by the log, by
``print``, by native code and by child processes alike, and it still has it when a signal has ended the worker.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import os
import socket
import stat
import sys
import threading
import time
from pathlib import Path

from openrtc.child_environment import drop_secrets
from openrtc.observe import line_relay
from openrtc.observe.log_guard import current_log
from openrtc.posix import enlarge_pipe, why_no_relay

LAST_LINES_SECONDS = line_relay.LAST_SECONDS + 0.5
"""How long the end waits for the relay's answer, which itself waits `LAST_SECONDS` for a reader."""

RESTART_SECONDS = 0.5
"""Between the end of a relay and the start of the next one: meanwhile the pipes hold what is written."""

logger = logging.getLogger("openrtc.observe")

_relay: OutputRelay | None = None


class OutputRelay:
    """A relay, which is started again when it ends, and what the two streams were before.

    Args:
        style: How it says what was dropped: ``text`` or ``json``.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, style: str) -> None:
        same = os.path.samestat(os.fstat(1), os.fstat(2))
        _flush_streams()
        self._style = style
        self._pid = os.getpid()
        self._before = {number: os.dup(number) for number in (1, 2)}
        # The ends to read from stay open here, too: when the relay is killed, nobody is left with a broken pipe.
        pipes = [os.pipe() for _ in range(1 if same else 2)]
        self._pipes = [reads for reads, _ in pipes]
        for reads in self._pipes:
            enlarge_pipe(reads)
        self._start()
        os.dup2(pipes[0][1], 2)
        os.dup2(pipes[-1][1], 1)
        for _, writes in pipes:
            os.close(writes)
        threading.Thread(target=self._watch, daemon=True, name="output-relay").start()
        # A pipe's lines would wait for the buffer to be full, and come out in the middle of others; and where somebody
        # has set PYTHONUNBUFFERED, print() writes each of its words by itself, and a line of the log comes between.
        if isinstance(sys.stdout, io.TextIOWrapper):
            with contextlib.suppress(OSError):
                sys.stdout.reconfigure(line_buffering=True, write_through=False)

    def flush(self) -> None:
        """Wait until everything is written, for at most `LAST_LINES_SECONDS`."""
        if os.getpid() != self._pid:  # a forked child: whoever has started the relay also waits for it
            return
        _flush_streams()
        with contextlib.suppress(OSError):  # too late, or the relay is gone
            self._control.settimeout(LAST_LINES_SECONDS)
            self._control.sendall(b"f")
            self._control.recv(1)

    def give_back(self) -> None:
        """Let both streams be what they were. The relay ends when nobody has its pipes any more."""
        for number, before in self._before.items():
            os.dup2(before, number)

    def _start(self) -> None:
        import subprocess

        self._control, theirs = socket.socketpair()
        with theirs:
            targets = [str(n) for pipe, stream in zip(self._pipes, (2, 1), strict=False) for n in (pipe, stream)]
            # Isolated and without `site`: it reads nothing of this environment, and takes no time. A session of its
            # own: Ctrl-C and Ctrl-Z are for the worker.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", line_relay.__file__, self._style, str(theirs.fileno()), *targets],
                pass_fds=[theirs.fileno(), *self._pipes],
                stdin=subprocess.DEVNULL,
                stdout=self._before[1],
                stderr=self._before[2],
                env=drop_secrets(),
                start_new_session=True,
            )

    def _watch(self) -> None:
        while True:
            self._process.wait()
            time.sleep(RESTART_SECONDS)
            try:
                self._start()
            except OSError as error:
                logger.error("the process that hands the output on cannot be started again: %s", error)
                return
            logger.warning("the process that hands the output on had ended: it is started again")


def relay_output(style: str) -> str | None:
    """Let a relay take what this process, and all that it starts, write to standard output and standard error.

    Args:
        style: How the relay says what was dropped: ``text`` or ``json``.

    Returns:
        Why the streams are left as they are, where they should not; systems that have no such pipes leave them.
    """
    global _relay
    if _relay is not None or why_no_relay() or _goes_nowhere():
        return None
    if not (sys.executable and Path(line_relay.__file__).is_file()):
        return "this Python cannot start a second one"
    try:
        _relay = OutputRelay(style)
    except OSError as error:
        return f"the process that writes it cannot be started: {error}"
    atexit.register(flush_output)
    return None


def flush_output() -> None:
    """Wait until what was written, and logged, is out, for at most `LAST_LINES_SECONDS`."""
    if log := current_log():
        log.flush()
    if _relay is not None:
        _relay.flush()


def give_output_back() -> None:
    """Let what is written go where it went before the relay, for a program that takes this process's place."""
    flush_output()
    if _relay is not None:
        _relay.give_back()


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # none, nobody reads it, or it is closed
            stream.flush()


def _goes_nowhere() -> bool:
    """Whether both streams are closed or the null device, for which nobody waits."""
    nowhere = os.stat(os.devnull)
    for number in (1, 2):
        try:
            found = os.fstat(number)
        except OSError:
            return True  # one that is closed may be anything later on
        if not (stat.S_ISCHR(found.st_mode) and found.st_rdev == nowhere.st_rdev):
            return False
    return True
