"""What only POSIX systems have, each with a plain fallback: all else asks here, and so runs on Windows too.

The names are looked up when they are used, not at import: a test takes them away and sees what is left. asyncio and
socket are imported where they are used: the settings need this module, and ``openrtc list-agents`` neither of them.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import select
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    import socket

LARGEST_PIPE = 1 << 20
"""Bytes: Linux lets users have no larger ones (``/proc/sys/fs/pipe-max-size``)."""

SHARED_MEMORY = "/dev/shm"
"""What a container has to write to whose file system is read-only."""

_DESCRIPTORS = "/proc/self/fd"
_THREADS = "/proc/self/task"

THREAD_ENDS_SECONDS = 0.5
"""For how long a thread that is about to end, or was joined, may still be there."""

COUNTED_SECONDS = 0.1
"""How long a count of the free descriptors holds: it takes a tenth of a millisecond for a thousand."""

NO_UNIX_SOCKETS = "this system has no UNIX sockets"


def find_signals(*names: str) -> tuple[signal.Signals, ...]:
    """Return the signals of these names, without those that this system does not know, such as SIGHUP."""
    return tuple(signal.Signals[name] for name in names if hasattr(signal, name))


def name_signal(number: int) -> str:
    """Return the name of a signal; its number where Python knows no name for it."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def call_on_signals(callback: Callable[[signal.Signals], None], *names: str) -> None:
    """Call back in the running loop, on the main thread, at each of these signals that this system knows.

    Args:
        callback: Takes the signal.
        names: Such as ``SIGINT`` or ``SIGTERM``.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    for number in find_signals(*names):
        try:
            loop.add_signal_handler(number, callback, number)
        except (AttributeError, NotImplementedError):  # no loop of Windows has it
            _call_from_handler(loop, number, callback)


def end_at_once_as_init() -> None:
    """Let SIGTERM end this process also where it is process 1, as in a container, until it has a handler of its own.

    There the kernel ignores signals that have no handler.
    """
    if os.getpid() == 1:
        leave = os._exit
        signal.signal(signal.SIGTERM, lambda number, _: leave(128 + number))


def is_ignored(name: str) -> bool:
    """Whether a signal that this system knows is ignored, as nohup lets SIGHUP be."""
    return any(signal.getsignal(number) is signal.SIG_IGN for number in find_signals(name))


def end_at_once_at(name: str, code: int) -> None:
    """Let a signal end this process with an exit code until it has a handler of its own, unless it is ignored."""
    leave = os._exit
    for number in () if is_ignored(name) else find_signals(name):
        signal.signal(number, lambda *_: leave(code))


def why_no_interrupt() -> str | None:
    """Return why no code that runs in this, the main, thread can be interrupted, or None when it can."""
    if not hasattr(signal, "pthread_kill") or not hasattr(signal, "SIGURG"):
        return "this system sends no signals to threads"
    return None if threading.current_thread() is threading.main_thread() else "it does not run in the main thread"


def call_on_interrupt(callback: Callable[[FrameType | None], None] | None) -> None:
    """Call back in this, the main, thread whenever another one calls `interrupt_main_thread`.

    The signal is SIGURG: nobody else uses it, and one that comes late is ignored by whoever has no handler for it.

    Args:
        callback: Takes the frame that was interrupted; what it raises is raised there. None: nobody does any more.
    """
    _call_on_signal("SIGURG", callback)


def _call_on_signal(name: str, callback: Callable[[FrameType | None], None] | None) -> None:
    for number in find_signals(name):
        handler = signal.SIG_DFL if callback is None else functools.partial(_handle_signal, callback)
        signal.signal(number, handler)


def _handle_signal(callback: Callable[[FrameType | None], None], _number: int, frame: FrameType | None) -> None:
    # What lets no other thread run lets one send its signal only while it handles another one: that handler is not what
    # was to be interrupted.
    interrupted, caller = frame, frame
    while caller is not None:
        if caller.f_code is _handle_signal.__code__:
            interrupted = caller.f_back
        caller = caller.f_back
    callback(interrupted)


def interrupt_main_thread() -> None:
    """Let the callback of `call_on_interrupt` be called in the main thread, also where that waits in the kernel."""
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill") and hasattr(signal, "SIGURG"):
        signal.pthread_kill(main, signal.SIGURG)


def has_cpu_timer() -> bool:
    """Whether somebody in this process has the timer of `call_on_cpu_timer`; true where there is none to have."""
    return not hasattr(signal, "SIGVTALRM") or signal.getsignal(signal.SIGVTALRM) is not signal.SIG_DFL


def call_on_cpu_timer(callback: Callable[[FrameType | None], None] | None) -> None:
    """Call back in this, the main, thread when the time of `start_cpu_timer` is over, where the system has such timers.

    The signal is SIGVTALRM: nobody else uses it, where SIGALRM is what a package takes for a time limit of its own.

    Args:
        callback: Takes the frame that was interrupted; what it raises is raised there. None: nobody does any more.
    """
    _call_on_signal("SIGVTALRM", callback)


def start_cpu_timer(seconds: float) -> None:
    """Start the timer anew: no thread of Python's is needed for it, which could not run.

    Args:
        seconds: How long this process has to work until it is over, and over again; 0 stops it.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)


def stop_calling_back() -> None:
    """Stop the timer, and call nobody at it or at an interrupt any more."""
    start_cpu_timer(0.0)
    call_on_cpu_timer(None)
    call_on_interrupt(None)


def has_unix_sockets() -> bool:
    """Whether a socket can stand in a folder of the user, where nobody else can reach it."""
    import socket

    return hasattr(socket, "AF_UNIX")


def open_unix_socket(kind: int | None = None) -> socket.socket:
    """Return a socket that is not connected yet, by default for a stream; raises `OSError` where there are none."""
    import socket

    if not has_unix_sockets():
        raise OSError(NO_UNIX_SOCKETS)
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if kind is None else kind)


def name_user_folder() -> str:
    """Return the name of the user's folder among those of all users; Windows gives each a temporary folder anyway."""
    return f"openrtc-{os.getuid()}" if hasattr(os, "getuid") else "openrtc"


def lock_file(descriptor: int, *, alone: bool) -> None:
    """Wait for a lock of an open file, which all have who ask for it, or one alone; nothing where there are no locks.

    Args:
        descriptor: The file's. The lock ends when it is closed, or by `unlock_file`.
        alone: Whether nobody else may have it.
    """
    with contextlib.suppress(ImportError, OSError):  # Windows, and file systems that have none
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)


def unlock_file(descriptor: int) -> None:
    """Give back what `lock_file` has taken."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


def has_user_ids() -> bool:
    """Whether files belong to users by number, and their modes say what others may do."""
    return hasattr(os, "getuid")


def is_own(found: os.stat_result) -> bool:
    """Whether a file belongs to this user; true where files have no owner's number."""
    return not has_user_ids() or found.st_uid == os.getuid()


def why_not_trusted(found: os.stat_result) -> str | None:
    """Return why somebody else may have written a file, or None: root may, and so may all where files have no owner."""
    if not has_user_ids():
        return None
    if found.st_uid not in (0, os.getuid()):
        return f"it belongs to user {found.st_uid}"
    return "everybody may write it" if found.st_mode & stat.S_IWOTH else None


def find_temporary_folder() -> str:
    """Return a folder for temporary files: Python's own, or shared memory where all others are read-only.

    Raises:
        FileNotFoundError: No folder can be written to.
    """
    import tempfile

    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        if not os.access(SHARED_MEMORY, os.W_OK):
            raise
    # For libraries, and for child processes.
    os.environ["TMPDIR"] = tempfile.tempdir = SHARED_MEMORY
    return SHARED_MEMORY


def can_fork() -> bool:
    """Whether this system copies processes."""
    return hasattr(os, "fork")


def why_not_fork() -> str | None:
    """Return why this process must not fork now, or None when it has exactly one thread and the system allows it.

    A fork copies one thread alone; a lock that another one held stays locked in the child for ever.
    """
    if not can_fork():
        return "this system does not fork"
    if not os.path.exists(_THREADS):
        return "only Linux tells how many threads a process has"
    until = time.monotonic() + THREAD_ENDS_SECONDS
    while True:
        native, known = len(os.listdir(_THREADS)), [thread.name for thread in threading.enumerate()]
        if native == len(known) == 1:
            return None
        if time.monotonic() > until:
            break
        time.sleep(0.005)
    how_many = "a thread" if native == 2 else f"{native - 1} threads"
    return f"a package has started {how_many} at import: {', '.join(known[1:]) or 'native code'}"


def can_copy_itself() -> bool:
    """Whether this process may be copied, and its copies waited for."""
    if why_not_fork() or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # a container may forbid it
        return False
    return True


class ForkedProcess:
    """A copy of this process that calls a function; has of `multiprocessing.Process` what is needed here.

    That one would tell packages that they are in a child process, which a worker is not.

    Args:
        target: The function.
    """

    def __init__(self, target: Callable[[], object]) -> None:
        self._target = target
        self.pid: int | None = None
        self._code: int | None = None

    def start(self) -> None:
        """Make the copy."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):  # there is none, or it is closed
                stream.flush()  # or the copy would print it again
        pid = os.fork()
        if pid == 0:
            try:
                self._target()
            finally:
                os._exit(70)  # it went wrong: whatever it raised must not go on up into what was copied
        self.pid = pid
        self.sentinel = os.pidfd_open(pid)

    @property
    def exitcode(self) -> int | None:
        """Its exit code, or the negative number of the signal that has ended it; None while it runs."""
        if self._code is None and self.pid is not None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def kill(self) -> None:
        """Kill it."""
        if self.exitcode is None and self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)

    def join(self) -> None:
        """Wait for its end, and forget it."""
        if self.exitcode is None and self.pid is not None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.sentinel)


def why_no_relay() -> str | None:
    """Return why no other process can write what this one prints, or None when one can."""
    return None if hasattr(os, "posix_spawn") and hasattr(select, "poll") else "this system has no pipes to wait for"


def enlarge_pipe(pipe: int) -> None:
    """Let a pipe hold as much as an ordinary user may have, where that can be set."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, LARGEST_PIPE)


def why_no_supervisor() -> str | None:
    """Return why several workers cannot stand under one supervisor here, or None when they can.

    Workers inherit sockets from their parent, and a rolling restart is asked for by SIGHUP.
    """
    # Written for each name in turn: mypy follows `hasattr` in no loop.
    if hasattr(os, "posix_spawn") and hasattr(signal, "SIGHUP") and hasattr(signal, "SIGCHLD"):
        return None
    return "this system has no processes that inherit sockets, and no SIGHUP"


def count_free_descriptors() -> int | None:
    """Return how many more files and sockets this process may open, or None where there is no limit."""
    limits = read_descriptor_limits()
    if limits is None:
        return None
    try:
        open_now = count_descriptors()
    except OSError:  # there is none left for the folder itself
        return 0
    return None if open_now is None else max(0, limits[0] - open_now)


def count_descriptors() -> int | None:
    """Return how many files and sockets this process has open, or None on a system that does not tell.

    Raises:
        OSError: There is none left with which they could be counted.
    """
    try:
        return len(os.listdir("/dev/fd"))
    except FileNotFoundError:
        return None


class FreeDescriptors:
    """How many more files and sockets this process may open, for whoever asks often.

    Args:
        count: Counts them, as `count_free_descriptors` does.
    """

    def __init__(self, count: Callable[[], int | None]) -> None:
        self._count = count
        self._left, self._counted_at = math.inf, -math.inf

    def look(self) -> float:
        """Return how many there are, infinity where there is no limit; counted at most every `COUNTED_SECONDS`."""
        now = time.monotonic()
        if now - self._counted_at >= COUNTED_SECONDS:
            left = self._count()
            self._left, self._counted_at = math.inf if left is None else left, now
        return self._left

    def take(self) -> None:
        """Note that one more is used, until they are counted again."""
        self._left -= 1


class Killable(Protocol):
    """A child process, whoever has started it."""

    @property
    def pid(self) -> int | None:
        """Its process id; None before it is started."""

    def kill(self) -> None:
        """Kill it."""


def leave_session() -> None:
    """Give this process a session of its own, which no key of the terminal reaches, where there are sessions."""
    if hasattr(os, "setsid"):
        os.setsid()


def kill_group(child: Killable) -> None:
    """Kill a child that has a session of its own and all that it has started; elsewhere the child only.

    It may have ended already.
    """
    # PermissionError is how macOS says that all of a group have ended.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            assert child.pid is not None  # it was started
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()


def usable_cores() -> int:
    """Return how many cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_waiting() -> float:
    """Return for how many seconds this thread has waited for a core so far; 0 where the system does not say."""
    try:
        with open("/proc/thread-self/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def read_descriptor_limits() -> tuple[int, float] | None:
    """Return how many descriptors this process may open, and to how many it may raise that; None where nobody knows."""
    try:
        import resource
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    return soft, math.inf if hard == resource.RLIM_INFINITY else hard


def raise_descriptor_limit(soft: int) -> bool:
    """Let this process open so many descriptors, and return whether it may."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    except (ImportError, ValueError, OSError):  # macOS allows fewer than its "unlimited" says
        return False
    return True


def can_limit_silence() -> bool:
    """Whether a connection can be told how long what it sends may stay unacknowledged; only Linux lets it."""
    import socket

    return hasattr(socket, "TCP_USER_TIMEOUT")


def limit_silence(connection: socket.socket, seconds: float) -> None:
    """End a TCP connection when what it has sent stays unacknowledged for so long, where that can be set."""
    import socket

    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def list_tcp_sockets() -> Iterator[socket.socket]:
    """Yield each TCP socket of this process, also of native code, by a further descriptor that is closed afterwards.

    Where the system does not tell which there are, there is none.
    """
    import socket

    names = []
    with contextlib.suppress(OSError):
        names = os.listdir(_DESCRIPTORS)
    for name in names:
        with contextlib.suppress(OSError):  # it is closed by now
            if not os.readlink(f"{_DESCRIPTORS}/{name}").startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(name))) as found:
                if found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM:
                    yield found


def read_terminal_settings(descriptor: int) -> list[Any] | None:
    """Return how a terminal is set, for `restore_terminal`; None where that cannot be asked."""
    try:
        import termios
    except ImportError:
        return None
    settings: list[Any] = termios.tcgetattr(descriptor)
    return settings


def restore_terminal(descriptor: int, settings: list[Any]) -> None:
    """Set a terminal as `read_terminal_settings` has found it, unless it has closed."""
    import termios

    with contextlib.suppress(termios.error):
        termios.tcsetattr(descriptor, termios.TCSADRAIN, settings)


def _call_from_handler(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, callback: Callable[[signal.Signals], None]
) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        # It interrupts whatever runs, so it only wakes the loop; one that is closed has nothing to do.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(callback, number)

    signal.signal(number, handle)


def read_alarms() -> tuple[bool, ...]:
    """Return which of this process's alarms are set, where there are alarms."""
    if not hasattr(signal, "getitimer"):
        return ()
    return tuple(signal.getitimer(clock)[0] > 0 for clock in _clocks())


def stop_alarms(kept: tuple[bool, ...]) -> None:
    """Stop the alarms of this process.

    Args:
        kept: Which are not stopped, as `read_alarms` has returned them.
    """
    for clock, keep in zip(_clocks(), kept, strict=True):
        if not keep:
            signal.setitimer(clock, 0)


def _clocks() -> tuple[int, ...]:
    return (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF) if hasattr(signal, "setitimer") else ()


def read_blocked_signals() -> set[int]:
    """Return which signals this thread holds back, where threads can."""
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ())) if hasattr(signal, "pthread_sigmask") else set()


def block_signals(numbers: set[int]) -> None:
    """Let this thread hold back these signals only."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, numbers)


def is_blocking(descriptor: int) -> bool:
    """Whether whoever reads or writes waits; true where that cannot be asked. Raises `OSError` for a closed one."""
    return os.get_blocking(descriptor) if hasattr(os, "get_blocking") else True
