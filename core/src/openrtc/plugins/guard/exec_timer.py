"""`ExecTimer`: puts another program in this process's place after some time, whatever runs in it by then.

Code that holds the interpreter's lock and lets no signal through keeps all Python from running, and only the process
itself can begin another program and keep its id, which a container or a service manager waits for. So it is the C
library that does it: at the end of a timer (`timer_create` with ``SIGEV_THREAD``) it calls one function with one
argument in a thread of its own, here ``setcontext``, with a context in which ``execve`` is called (`makecontext`). Both
are in glibc on the processors below; elsewhere there is no such timer.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from openrtc.posix import block_signals, find_signals, read_blocked_signals

logger = logging.getLogger("openrtc.clock")

MACHINES = ("x86_64", "aarch64")
"""Processors on which glibc's structures are as they are here."""

SETTLE_SECONDS = 1.5
"""How long the next program waits for what ends by itself with the old one, as a server that `dev` has started."""

CLOCK_MONOTONIC, SIGEV_THREAD = 1, 2
"""What Linux calls 1 and 2 (``bits/time.h``, ``bits/sigevent-consts.h``)."""

STACK_BYTES = 64 * 1024
"""Of the context; `execve` takes some hundred bytes of it."""

# Nobody can stop alarms, change the folder or say anything before the old program is gone: this one does, then gives
# its place to the command. The alarms were held back, so that they do not end it.
_NEXT = """
import os, signal, sys, time
for clock in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
    signal.setitimer(clock, 0)
alarms = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF)
for number in alarms:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, alarms)
for number in alarms:
    signal.signal(number, signal.SIG_DFL)
line, code, folder, seconds, *command = sys.argv[1:]
print(line, file=sys.stderr, flush=True)
if not command:
    os._exit(int(code))
if folder:
    try:
        os.chdir(folder)
    except OSError:
        pass
time.sleep(float(seconds))
os.execve(command[0], command, os.environ)
"""


class _Event(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("rest", ctypes.c_byte * 64),
    )


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Times(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


class _Stack(ctypes.Structure):
    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


class _Context(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_ulong),
        ("link", ctypes.c_void_p),
        ("stack", _Stack),
        ("rest", ctypes.c_byte * 16384),  # of the processor: up to 5 kB
    )


class ExecTimer:
    """A timer that begins a command in place of this process's program, or ends the process.

    Raises:
        OSError: There is none on this system.
    """

    def __init__(self) -> None:
        self._library = _load_library()
        self._timer: ctypes.c_void_p | None = None
        self._kept: tuple[Any, ...] = ()  # what the C library reads when the time is over

    @classmethod
    def find(cls) -> ExecTimer | None:
        """Return one, or None where there is none."""
        try:
            return cls()
        except OSError as error:
            logger.debug("there is no timer for what keeps Python from running: %s", error)
            return None

    def start(
        self,
        seconds: float,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        line: str,
        folder: str | None = None,
        code: int = 1,
    ) -> bool:
        """Begin a command after some time, and return whether it will; what was started before is stopped.

        Args:
            seconds: After how many.
            command: The program's path and its arguments; empty to end the process.
            environ: Its environment.
            line: What is written to standard error then.
            folder: Its working folder; None for whatever this process has by then.
            code: The exit code with which the process ends, where there is no command.
        """
        self.stop()
        try:
            self._start(seconds, command, environ, line, folder, code)
        except OSError as error:
            logger.debug("the timer for what keeps Python from running cannot be started: %s", error)
            return False
        return True

    def _start(
        self,
        seconds: float,
        command: Sequence[str],
        environ: Mapping[str, str],
        line: str,
        folder: str | None,
        code: int,
    ) -> None:
        library, settle = self._library, f"{SETTLE_SECONDS:g}"
        words = [sys.executable, "-I", "-S", "-c", _NEXT, line, str(code), folder or "", settle, *command]
        path = ctypes.c_char_p(os.fsencode(sys.executable))
        arguments = _list_of(words)
        variables = _list_of([f"{name}={value}" for name, value in environ.items()])
        stack = ctypes.create_string_buffer(STACK_BYTES)
        context = _Context()
        blocked = read_blocked_signals()
        block_signals(blocked | set(find_signals("SIGALRM", "SIGVTALRM", "SIGPROF")))
        try:
            _check(library.getcontext(ctypes.byref(context)))
        finally:
            block_signals(blocked)
        context.link = None
        context.stack = _Stack(ctypes.addressof(stack), 0, STACK_BYTES)
        library.makecontext(ctypes.byref(context), library.execve, 3, path, arguments, variables)
        event = _Event(value=ctypes.addressof(context), notify=SIGEV_THREAD, function=_address(library.setcontext))
        timer = ctypes.c_void_p()
        _check(library.timer_create(CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)))
        self._timer, self._kept = timer, (path, arguments, variables, stack, context, event)
        times = _Times(value=_Time(int(seconds), int(seconds % 1 * 1e9) or 1))
        _check(library.timer_settime(timer, 0, ctypes.byref(times), None))

    def stop(self) -> None:
        """Begin nothing."""
        timer, self._timer = self._timer, None
        if timer is not None:
            self._library.timer_delete(timer)
        self._kept = ()


def _load_library() -> Any:
    if sys.platform != "linux" or os.uname().machine not in MACHINES:
        raise OSError("its structures are not known here")
    library = ctypes.CDLL(None, use_errno=True)
    try:
        library.gnu_get_libc_version  # noqa: B018 - it is asked for whether it is there
        library.makecontext.restype = None
        # Before glibc 2.34 timers stand in a library of their own.
        timers = library if hasattr(library, "timer_create") else ctypes.CDLL("librt.so.1", use_errno=True)
    except AttributeError as error:
        raise OSError("this C library is not glibc") from error
    for name in ("timer_create", "timer_settime", "timer_delete"):
        setattr(library, name, getattr(timers, name))
    library.timer_delete.argtypes = (ctypes.c_void_p,)
    return library


def _list_of(words: Sequence[str]) -> Any:
    return (ctypes.c_char_p * (len(words) + 1))(*map(os.fsencode, words), None)


def _address(function: Any) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value


def _check(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
