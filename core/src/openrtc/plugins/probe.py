"""Imports one entry in a process of its own: survives exits, crashes, hangs and whatever else an import may do."""

from __future__ import annotations

import faulthandler
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from openrtc.config import Config
from openrtc.discovery.entries import AGENTS_GROUP, Entry, State
from openrtc.plugins.fault import Fault
from openrtc.plugins.importing import fault_of
from openrtc.plugins.loaded import LoadedAgent

REQUEST, RESULT, STACK = "request.json", "result.json", "stack.txt"
HUNG = "Timeout"
"""How `faulthandler` begins when its time is over."""
PATIENCE = 60.0
"""Seconds for Python's and livekit's own start, and for a package that has switched off the child's clock."""
BOOT = """
import json, sys
request = json.load(open(sys.argv[1] + "/request.json", encoding="utf-8"))
sys.path[:] = request["path"]
from openrtc.plugins.probe import answer
answer(sys.argv[1], request)
"""


def probe_all(entries: Sequence[Entry], *, timeout: float = 20.0) -> list[LoadedAgent]:
    """Probe every usable entry, as many at a time as there are CPUs; the order is that of ``entries``.

    Args:
        entries: What `discover` found.
        timeout: Seconds that each import may take.
    """
    children = _Children()
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="probe") as pool:
        try:
            found = list(pool.map(lambda entry: _probe(entry, timeout, children), entries))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            children.end()
            raise
    return [agent for agents in found for agent in agents]


def probe(entry: Entry, *, timeout: float = 20.0) -> list[LoadedAgent]:
    """Import one entry in a subprocess and return the agents that it brings, usable or not, without their specs.

    Args:
        entry: The entry; one that is not usable is returned as it is, without a subprocess.
        timeout: Seconds that the import may take, livekit's own not counted.

    Returns:
        One agent; of a hook module, all its agents; of a plugin, those that it brings besides.
    """
    return _probe(entry, timeout, _Children())


def _probe(entry: Entry, timeout: float, children: _Children) -> list[LoadedAgent]:
    if not entry.usable:
        return [LoadedAgent.as_it_is(entry)] if entry.group == AGENTS_GROUP else []
    with tempfile.TemporaryDirectory(prefix="openrtc-probe-", ignore_cleanup_errors=True) as folder:
        request = {"path": sys.path, "entry": asdict(entry), "timeout": timeout}
        (Path(folder) / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        code = children.run([sys.executable, "-c", BOOT, folder], timeout + PATIENCE)
        rows = _rows_of(Path(folder), entry, code, timeout)
    if not rows and entry.group == AGENTS_GROUP:
        return [
            LoadedAgent(name=entry.name, entry=replace(entry, summary=f"{entry.summary} (brings no agent)".strip()))
        ]
    return rows


class _Children:
    """The subprocesses that run now."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(self, command: list[str], timeout: float) -> int | None:
        """Run ``command``; returns its exit code, or None when it was stopped after ``timeout`` seconds."""
        quiet = subprocess.DEVNULL
        child = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        self._running.add(child)
        try:
            return child.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _kill(child)
            self._running.discard(child)

    def end(self) -> None:
        """Stop all of them."""
        for child in list(self._running):
            _kill(child)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End a child and everything that it has started."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    except (ProcessLookupError, PermissionError):
        pass  # all of its group have ended already
    child.wait()


def _rows_of(folder: Path, entry: Entry, code: int | None, timeout: float) -> list[LoadedAgent]:
    try:
        rows = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [LoadedAgent.broken(entry, _death(entry, code, timeout, _stack(folder)))]
    return [_row(entry, row) for row in rows]


def _row(entry: Entry, row: dict[str, Any]) -> LoadedAgent:
    summary = row.pop("summary")
    names = tuple(row["member_names"])
    row |= {"state": State(row["state"]), "member_names": names}
    return LoadedAgent(entry=replace(entry, summary=summary), **row)


def _death(entry: Entry, code: int | None, timeout: float, stack: str) -> Fault:
    hung, place = stack.startswith(HUNG), _place_in(stack, entry)
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


def _stack(folder: Path) -> str:
    """Return what `faulthandler` wrote."""
    try:
        return (folder / STACK).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _place_in(stack: str, entry: Entry) -> str | None:
    """Return ``file:line`` of the deepest frame in the entry's own package."""
    top = entry.value.partition(":")[0].partition(".")[0]
    frames = re.findall(r'File "([^"]+)", line (\d+)', stack)
    own = [f"{file}:{line}" for file, line in frames if top in Path(file).with_suffix("").parts]
    return own[0] if own else None


def answer(folder: str, request: dict[str, Any]) -> NoReturn:
    """Run in the subprocess: import the entry, write down what it brings, and end without waiting for its threads."""
    entry = Entry(**request["entry"] | {"state": State(request["entry"]["state"])})
    leave = os._exit
    stack = (Path(folder) / STACK).open("w", encoding="utf-8")
    faulthandler.enable(stack)

    def told_exit(status: int) -> NoReturn:
        stack.write(_frame_line(sys._getframe(1)))
        stack.flush()
        leave(status)

    os._exit = told_exit
    if entry.is_agent:
        _import_livekit_first()
    # The clock runs from here: on a busy machine livekit's own import may take longer than any agent's.
    faulthandler.dump_traceback_later(request["timeout"], exit=True, file=stack)
    rows = _loaded_rows(entry)
    faulthandler.cancel_dump_traceback_later()
    unfinished = Path(folder) / f"{RESULT}.part"
    unfinished.write_text(json.dumps(rows), encoding="utf-8")
    unfinished.replace(Path(folder) / RESULT)
    leave(0)


def _frame_line(frame: FrameType) -> str:
    return f'File "{frame.f_code.co_filename}", line {frame.f_lineno}\n'


def _loaded_rows(entry: Entry) -> list[dict[str, Any]]:
    from openrtc.plugins.load import load

    try:
        loaded = load([entry], Config())
    except BaseException as error:
        return [_to_json(LoadedAgent.broken(entry, fault_of(error, entry)))]
    plugins = loaded.plugins if entry.group == AGENTS_GROUP else ()
    broken = [
        LoadedAgent(
            name=entry.name,
            entry=entry,
            state=plugin.state,
            reason=plugin.reason,
            fix=plugin.fix,
            location=plugin.location,
            load_ms=plugin.load_ms,
        )
        for plugin in plugins
        if plugin.state is not State.READY
    ]
    return [_to_json(agent) for agent in (*loaded.agents, *broken)]


def _import_livekit_first() -> None:
    """Keep livekit's seconds out of the agent's milliseconds: a worker has it imported by then."""
    from openrtc.discovery.tolerance import tolerate_unreadable_metadata

    tolerate_unreadable_metadata()
    try:
        import_module("livekit.agents")
    except Exception as error:
        print(f"livekit.agents cannot be imported: {error!r}", file=sys.stderr)  # the agent's own import tells it again


def _to_json(agent: LoadedAgent) -> dict[str, Any]:
    summary = agent.spec.summary if agent.spec else agent.entry.summary if agent.entry else ""
    fields = ("name", "state", "reason", "fix", "location", "load_ms")
    made = {"isolation": agent.wish, "made_as": agent.shape, "member_names": list(agent.members)}
    return {name: getattr(agent, name) for name in fields} | {"summary": summary} | made
