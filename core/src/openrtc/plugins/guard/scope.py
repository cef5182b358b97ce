"""`package_scope`: a package's code runs, and the process is afterwards what it was before.

A process of many packages has one of each: one standard output, one working folder, one handler of SIGTERM. What a
package does to these at import, as it may in a process of its own, is put back and told in one line, with the package,
its entry point and its file. What cannot be put back is told, too. A program that begins within an import is refused.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from openrtc.errors import OpenRTCError
from openrtc.plugins.guard.clock import PackageCode, clocked
from openrtc.plugins.guard.damage import Damage
from openrtc.plugins.guard.marks import Change, ProcessMarks
from openrtc.plugins.guard.refused_calls import PROGRAM, Refusal, watch_calls
from openrtc.plugins.guard.streams import PackageStreams

logger = logging.getLogger("openrtc.plugins")

_exit_at_once = os._exit
_current: _Scope | None = None


@contextlib.contextmanager
def package_scope(describe: Callable[[], str], code: PackageCode | None = None) -> Iterator[None]:
    """Run a package's code, on the calling thread.

    Args:
        describe: Returns whose code it is, for a line; it is called afterwards, if at all.
        code: What the clock says that it is; without it, the code has no limit.
    """
    global _current
    if _current is not None:  # the code of a package has asked for another one
        yield
        return
    with clocked(code) if code else contextlib.nullcontext():  # first: its thread is none of the package's
        scope = _current = _Scope()
        try:
            yield
        finally:
            _current = None
            scope.close(describe)


def refuse_program(name: str) -> None:
    """Raise where a package's code is being imported: a program that begins there would never let the worker begin.

    Args:
        name: What was called.

    Raises:
        OpenRTCError: A package's code is being imported.
    """
    _refuse(name, PROGRAM)


def _refuse(name: str, refusal: Refusal) -> None:
    if _current is not None:
        raise OpenRTCError(f"{name} {refusal.reason}", fix=refusal.fix)


class ExitAtOnce(SystemExit):
    """A package calls ``os._exit`` at import."""


class _Scope:
    def __init__(self) -> None:
        watch_calls(_refuse)
        self._thread = threading.get_ident()
        self._pid = os.getpid()
        self._arguments = sys.argv
        self._exits = {name: getattr(os, name) for name in ("_exit", "execv", "execve")}
        self._damage = Damage()
        self._marks = ProcessMarks()
        self._streams = PackageStreams()
        # Whoever reads the arguments at import takes OpenRTC's for its own.
        sys.argv = sys.argv[:1]
        os._exit = self._refuse_exit
        for name in ("execv", "execve"):
            setattr(os, name, self._guard_exec(name))

    def close(self, describe: Callable[[], str]) -> None:
        """Put everything back, and tell what that was."""
        if os.getpid() != self._pid:
            _exit_at_once(0)  # a process that the package has forked and not ended: it would go on as a second worker
        changes = [Change(what) for what in self._streams.restore()]
        sys.argv = self._arguments
        for name, function in self._exits.items():
            setattr(os, name, function)
        changes += self._marks.restore()
        _report(changes, self._damage, describe)

    def _is_ours(self) -> bool:
        """Whether it is the import itself that runs: not a thread, and not a process that it has forked."""
        return _current is self and threading.get_ident() == self._thread and os.getpid() == self._pid

    def _refuse_exit(self, status: int) -> NoReturn:
        if self._is_ours():
            raise ExitAtOnce(status)
        self._exits["_exit"](status)
        raise AssertionError  # for type checkers: the process has ended

    def _guard_exec(self, name: str) -> Callable[..., Any]:
        def execute(path: Any, *arguments: Any) -> Any:
            if self._is_ours():
                refuse_program(f"os.{name}({os.fsdecode(path)!r:.200})")
            return self._exits[name](path, *arguments)

        return execute


def _report(changes: list[Change], left: Damage, describe: Callable[[], str]) -> None:
    put_back = [change for change in changes if not change.problem]
    for level, missed in ((logging.WARNING, True), (logging.INFO, False)):
        if names := [change.what for change in put_back if change.missed is missed]:
            logger.log(level, "%s has changed %s: put back, since it is everybody's", describe(), ", ".join(names))
    damage = [
        f"{change.what} has changed, which cannot be put back: {change.problem}" for change in changes if change.problem
    ]
    if damage := [*damage, *left.describe()]:
        logger.warning("%s: %s; such a package is safe in a process of its own only", describe(), "; ".join(damage))
    if threads := left.find_threads():
        many = f"{len(threads)} threads" if len(threads) > 1 else "a thread"
        logger.info("%s has started %s: %s", describe(), many, ", ".join(threads))
