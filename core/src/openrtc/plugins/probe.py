"""Imports entries in processes of their own: survives exits, crashes, hangs and whatever else an import may do.

livekit-agents takes most of such a process's time, so it is imported once, in a process from which each entry's is
forked. Where nothing forks, each process starts from nothing.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import import_module
from multiprocessing import connection, get_context
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from openrtc.catalog.loaded import LoadedAgent
from openrtc.child_environment import forget_working_folder, without_working_folder
from openrtc.discovery.entries import AGENTS_GROUP, Entry
from openrtc.errors import OpenRTCError
from openrtc.model.status import State, Status
from openrtc.plugins.fault import Fault
from openrtc.plugins.importing import explain_error
from openrtc.posix import can_fork, find_temporary_folder, kill_group, leave_session, usable_cores
from openrtc.settings.config import Config

logger = logging.getLogger("openrtc.plugins")

RESULT, STACK = "result.json", "stack.txt"
TIMEOUT_LINE = "Timeout"
"""How `faulthandler` begins its dump when its time is over."""
PROBE_START_SECONDS = 60.0
"""Seconds for Python's and livekit's own start, and for a package that has switched off the child's clock."""


def probe_all(entries: Sequence[Entry], *, timeout: float = 20.0) -> list[LoadedAgent]:
    """Import each usable entry in a process of its own, as many at a time as there are cores.

    Args:
        entries: What `discover` found; those that are not usable are returned as they are.
        timeout: Seconds that each import may take, livekit's own not counted.

    Returns:
        The agents that the entries bring, usable or not, without their specs, in the order of ``entries``: of a hook
        module all its agents, of a plugin those that it brings besides.

    Raises:
        OpenRTCError: There is no folder for temporary files.
    """
    try:
        find_temporary_folder()
    except FileNotFoundError:
        raise OpenRTCError("no folder can be written to, and imports are tried in one", fix="set TMPDIR") from None
    with tempfile.TemporaryDirectory(prefix="openrtc-probe-", ignore_cleanup_errors=True) as scratch:
        probes = [_Probe(entry, timeout, Path(scratch) / str(number)) for number, entry in enumerate(entries)]
        _run([probe for probe in probes if probe.entry.usable])
        return [agent for probe in probes for agent in probe.read_agents()]


def _run(waiting: list[_Probe]) -> None:
    """Run all of them."""
    running: dict[Any, _Probe] = {}
    try:
        while waiting or running:
            while waiting and len(running) < usable_cores():
                probe = waiting.pop(0)
                running[probe.start()] = probe
            connection.wait(list(running), min(probe.seconds_left() for probe in running.values()))
            for sentinel, probe in list(running.items()):
                if probe.has_ended() or probe.seconds_left() <= 0:
                    running.pop(sentinel).end()
    finally:  # after Ctrl-C, which does not reach them: they have sessions of their own
        for probe in running.values():
            probe.end()


class _Probe:
    """The process that imports one entry.

    Args:
        entry: The entry.
        timeout: Seconds that its import may take.
        folder: Where the process writes what it finds; not made yet.
    """

    def __init__(self, entry: Entry, timeout: float, folder: Path) -> None:
        self.entry = entry
        self._timeout = timeout
        self._folder = folder
        context = get_context("forkserver") if can_fork() else get_context("spawn")
        context.set_forkserver_preload([f"{__name__}_preload"])
        request = {"path": sys.path, "entry": asdict(entry), "timeout": timeout}
        self._process = context.Process(target=answer, args=(str(folder), json.dumps(request)))
        self._code: int | None = None

    def start(self) -> Any:
        """Start the process and return what `multiprocessing.connection.wait` waits for."""
        self._folder.mkdir()
        with without_working_folder():
            self._process.start()
        self._deadline = time.monotonic() + self._timeout + PROBE_START_SECONDS
        return self._process.sentinel

    def seconds_left(self) -> float:
        """Return how much longer it may run."""
        return max(self._deadline - time.monotonic(), 0)

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.exitcode is not None

    def end(self) -> None:
        """End the process, where it still runs, and everything that it has started."""
        self._code = self._process.exitcode
        kill_group(self._process)
        self._process.kill()  # which has no group of its own in its first moments
        self._process.join()

    def read_agents(self) -> list[LoadedAgent]:
        """Return what the process has found."""
        if not self.entry.usable:
            return [LoadedAgent.of_entry(self.entry)] if self.entry.group == AGENTS_GROUP else []
        agents = _read_rows(self._folder, self.entry, self._code, self._timeout)
        if not agents and self.entry.group == AGENTS_GROUP:
            empty = replace(self.entry, summary=f"{self.entry.summary} (brings no agent)".strip())
            return [LoadedAgent(name=self.entry.name, entry=empty)]
        return agents


def _read_rows(folder: Path, entry: Entry, code: int | None, timeout: float) -> list[LoadedAgent]:
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [LoadedAgent.of_entry(entry, _explain_death(entry, code, timeout, _read_stack(folder)).status)]
    for level, line in result["lines"]:
        logger.log(level, "%s", line)
    return [_read_row(entry, row) for row in result["agents"]]


def _read_row(entry: Entry, row: dict[str, Any]) -> LoadedAgent:
    status = _read_status(row.pop("status"))
    members, summary = tuple(row.pop("members")), row.pop("summary")
    return LoadedAgent(entry=replace(entry, summary=summary), status=status, members=members, **row)


def _read_status(fields: dict[str, Any]) -> Status:
    return Status(**fields | {"state": State(fields["state"])})


def _explain_death(entry: Entry, code: int | None, timeout: float, stack: str) -> Fault:
    hung, place = stack.startswith(TIMEOUT_LINE), _place_in(stack, entry)
    if code is None or hung:
        fix = "move what blocks or serves out of the import, into the agent or a resource"
        return Fault(f"the import had not ended after {timeout:g} seconds", fix, place)
    if code < 0:
        fix = f"update or reinstall {entry.distribution} and its compiled dependencies"
        return Fault(f"the import crashed Python ({_signal_name(-code)})", fix, place)
    fix = 'nothing may exit at import: put it below if __name__ == "__main__":'
    return Fault(f"the import ended the process with exit code {code}", fix, place)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _read_stack(folder: Path) -> str:
    """Return what `faulthandler` wrote."""
    try:
        return (folder / STACK).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _place_in(stack: str, entry: Entry) -> str | None:
    """Return ``file:line`` of the deepest frame in the entry's own package."""
    top = entry.module.partition(".")[0]
    frames = re.findall(r'File "([^"]+)", line (\d+)', stack)
    own = [f"{file}:{line}" for file, line in frames if top in Path(file).with_suffix("").parts]
    return own[0] if own else None


def answer(folder: str, asked: str) -> NoReturn:
    """Run in the process: import the entry, write down what it brings, and end without waiting for its threads.

    Args:
        folder: Where it is written down.
        asked: JSON of the entry, the path of imports and the seconds for this one.
    """
    leave_session()
    forget_working_folder()
    for descriptor in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    request = json.loads(asked)
    sys.path[:] = request["path"]
    entry = Entry(**request["entry"] | {"status": _read_status(request["entry"]["status"])})
    leave = os._exit  # kept, since it is replaced below: a package may call it at import, and then says where
    stack = (Path(folder) / STACK).open("w", encoding="utf-8")
    faulthandler.enable(stack)

    def note_exit(status: int) -> NoReturn:
        stack.write(_frame_line(sys._getframe(1)))
        stack.flush()
        leave(status)

    os._exit = note_exit
    if entry.group == AGENTS_GROUP:
        import_livekit_first()
    lines = _Lines()
    logger.addHandler(lines)
    # The clock runs from here: on a busy machine livekit's own import may take longer than any agent's.
    faulthandler.dump_traceback_later(request["timeout"], exit=True, file=stack)
    rows = _load_rows(entry)
    faulthandler.cancel_dump_traceback_later()
    unfinished = Path(folder) / f"{RESULT}.part"
    unfinished.write_text(json.dumps({"agents": rows, "lines": lines.written}), encoding="utf-8")
    unfinished.replace(Path(folder) / RESULT)
    leave(0)


class _Lines(logging.Handler):
    """Keeps what is said of the package's import, since nobody sees what this process prints."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append((record.levelno, record.getMessage()))


def _frame_line(frame: FrameType) -> str:
    return f'File "{frame.f_code.co_filename}", line {frame.f_lineno}\n'


def _load_rows(entry: Entry) -> list[dict[str, Any]]:
    from openrtc.plugins.load import load

    try:
        loaded = load([entry], Config())
    except BaseException as error:  # KeyboardInterrupt is a package's: nobody presses keys in this process
        return [_to_json(LoadedAgent.of_entry(entry, explain_error(error, entry).status))]
    plugins = loaded.plugins if entry.group == AGENTS_GROUP else ()
    broken = [LoadedAgent.of_entry(entry, plugin.status, plugin.load_ms) for plugin in plugins if not plugin.usable]
    return [_to_json(agent) for agent in (*loaded.agents, *broken)]


def import_livekit_first() -> None:
    """Keep livekit's seconds out of the agent's milliseconds: a worker has it imported by then."""
    from openrtc.discovery.tolerance import tolerate_unreadable_metadata

    tolerate_unreadable_metadata()
    try:
        import_module("livekit.agents")
    except Exception as error:
        # The agent's own import fails in the same way, and that becomes its row.
        print(f"livekit.agents cannot be imported: {error!r}", file=sys.stderr)


def _to_json(agent: LoadedAgent) -> dict[str, Any]:
    summary = agent.spec.summary if agent.spec else agent.entry.summary if agent.entry else ""
    fields = ("name", "load_ms", "asked_isolation", "shape", "members")
    return {name: getattr(agent, name) for name in fields} | {"summary": summary, "status": agent.status.to_json()}
