"""`ProbeProcess`: a process that imports entries, and what can be said of it when it has ended, however it did."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

from openrtc.child_environment import leave_out_working_folder
from openrtc.errors import one_line
from openrtc.model.hung_package import FIX_IMPORT, IMPORT
from openrtc.plugins.checks import read_checks
from openrtc.plugins.fault import Fault, locate_in_dump
from openrtc.plugins.probe.child import CHECKS, PROGRESS, RESULT, STACK, Request, answer
from openrtc.plugins.probe.findings import Findings, read_findings
from openrtc.posix import ForkedProcess, kill_group, name_signal, usable_cores

TIMEOUT_LINE = "Timeout"
"""How `faulthandler` begins its dump when its time is over."""
LAST_BYTES = 2000
"""How much is kept of the end of what a process has written to standard error: a few lines."""


class ProbeProcess:
    """A process that imports entries.

    Args:
        request: What it imports; its folder is not made yet.
        forks: Whether this process is copied, or another one is started from nothing.
    """

    def __init__(self, request: Request, *, forks: bool) -> None:
        self.request = request
        self._forks = forks
        self._errors = b""
        self._code: int | None = None

    def start(self) -> None:
        """Start it."""
        Path(self.request.folder).mkdir()
        self.errors, theirs = connection.Pipe(duplex=False)
        if self._forks:
            self._process: Any = ForkedProcess(lambda: answer(self.request, theirs))
        else:
            leave_out_working_folder()
            self._process = get_context("spawn").Process(target=answer, args=(self.request, theirs))
        self._process.start()
        theirs.close()
        seconds = self.request.usable * self.request.timeout + self.request.start_timeout
        self._deadline = time.monotonic() + seconds

    @property
    def sentinel(self) -> int:
        """What `multiprocessing.connection.wait` waits for until the process ends."""
        return int(self._process.sentinel)

    def seconds_left(self) -> float:
        """Return how much longer it may run."""
        return max(self._deadline - time.monotonic(), 0)

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.exitcode is not None

    def read_errors(self) -> bool:
        """Keep the end of what the process says, so that it never waits; False when it says no more."""
        if os.name != "posix":  # nothing is written there
            return False
        read = os.read(self.errors.fileno(), 65536)
        self._errors = (self._errors + read)[-LAST_BYTES:]
        return bool(read)

    def end(self) -> None:
        """End the process, where it still runs, and everything that it has started."""
        self._code = self._process.exitcode
        kill_group(self._process)
        self._process.kill()  # which has no group of its own in its first moments
        self._process.join()
        while connection.wait([self.errors], timeout=0) and self.read_errors():
            pass
        self.errors.close()

    def read_findings(self) -> Findings:
        """Return what the process has found, or how it has ended."""
        request, folder = self.request, Path(self.request.folder)
        try:
            result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            result = {}
        if "loaded" in result:
            checks = tuple(read_checks(folder / CHECKS)) if request.checks else ()
            return replace(read_findings(result, request.entries), checks=checks)
        number = int(_read(folder / PROGRESS) or next(n for n, entry in enumerate(request.entries) if entry.usable))
        if "ended" in result:
            return replace(read_findings(result, request.entries), ended_at=number)
        stack = _read(folder / STACK)
        hung = self._code is None or stack.startswith(TIMEOUT_LINE)
        last = self._errors.decode(errors="replace").strip().splitlines()
        fault = _explain_end(request, number, None if hung else self._code, stack, last[-1] if last else "")
        return Findings(ended_at=number, ended=fault.status, hung=hung)


def run_processes(waiting: Sequence[ProbeProcess], stop: Collection[Any] = ()) -> None:
    """Run all of them, as many at a time as there are cores.

    Args:
        waiting: Processes that are not started yet.
        stop: What is waited for beside them: when it is ready, nobody wants the rest any more.

    Raises:
        EOFError: It is.
    """
    left = list(waiting)
    running: list[ProbeProcess] = []
    talking: dict[Any, ProbeProcess] = {}
    try:
        while left or running:
            while left and len(running) < usable_cores():
                probe = left.pop(0)
                probe.start()
                running.append(probe)
                talking[probe.errors] = probe
            ready = connection.wait(
                [*stop, *talking, *(probe.sentinel for probe in running)],
                min(probe.seconds_left() for probe in running),
            )
            if any(one in stop for one in ready):
                raise EOFError
            for pipe in [pipe for pipe in talking if pipe in ready and not talking[pipe].read_errors()]:
                del talking[pipe]
            for probe in [probe for probe in running if probe.has_ended() or probe.seconds_left() <= 0]:
                running.remove(probe)
                talking.pop(probe.errors, None)
                probe.end()
    finally:  # after Ctrl-C, which does not reach them: they have sessions of their own
        for probe in running:
            probe.end()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _explain_end(request: Request, number: int, code: int | None, stack: str, last: str) -> Fault:
    """Explain the end of a process that has not written what it has found; ``code`` is None where it hung."""
    entry = request.entries[number]
    place = locate_in_dump(stack, entry.module)
    if code is None:
        return Fault(f"{IMPORT} had not ended after {request.timeout:g} seconds", FIX_IMPORT, place)
    said = f"; the last that it said: {one_line(last, 200)}" if last else ""
    if code < 0:
        fix = f"update or reinstall {entry.distribution} and its compiled dependencies"
        return Fault(f"the import crashed Python ({name_signal(-code)}){said}", fix, place)
    fix = 'nothing may exit at import: put it below if __name__ == "__main__":'
    return Fault(f"the import ended the process with exit code {code}{said}", fix, place)
