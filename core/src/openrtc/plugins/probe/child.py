"""What runs in a process that imports entries: a package's code may end it, or never come back."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import Loaded, LoadedAgent, LoadedPlugin
from openrtc.discovery.entries import AGENTS_GROUP, Entry
from openrtc.discovery.hidden_livekit import show_livekit
from openrtc.discovery.tolerance import tolerate_unreadable_metadata
from openrtc.model.lack import Lack
from openrtc.model.metadata import build_schema
from openrtc.plugins.checks import call_checks
from openrtc.plugins.contributions import collect_contributions
from openrtc.plugins.guard.clock import STOPPED_CLOCK, use_clock
from openrtc.plugins.importing import explain_error
from openrtc.plugins.lacks import find_lacks
from openrtc.plugins.load import load
from openrtc.plugins.own_modules import know_distributions
from openrtc.posix import leave_session
from openrtc.settings.config import Config

logger = logging.getLogger("openrtc.plugins")

RESULT, STACK, PROGRESS, CHECKS = "result.json", "stack.txt", "progress.txt", "checks.jsonl"


@dataclass(frozen=True, slots=True)
class Request:
    """What a process is to import.

    Args:
        folder: Where it writes what it finds.
        entries: The entries in a worker's order; those that are not usable are passed over.
        config: The settings.
        timeout: Seconds that each import may take, livekit's own not counted.
        start_timeout: Seconds more for all else.
        checks: Whether it calls the plugins' checks afterwards.
    """

    folder: str
    entries: tuple[Entry, ...]
    config: Config
    timeout: float
    start_timeout: float
    checks: bool = False

    @property
    def usable(self) -> int:
        """How many entries are to be imported."""
        return sum(entry.usable for entry in self.entries)


def answer(request: Request, errors: Connection | None = None) -> NoReturn:
    """Import the entries, write down what they bring, and end without waiting for their threads.

    Args:
        request: What to import.
        errors: Takes what is written to standard error; nobody reads it otherwise.
    """
    leave_session()
    _replace_streams(errors)
    folder = Path(request.folder)
    leave = os._exit  # kept, since it is replaced below: a package may call it at import, and then says where
    stack = (folder / STACK).open("w", encoding="utf-8")
    faulthandler.enable(stack)

    def note_exit(status: int) -> NoReturn:
        stack.write(_frame_line(sys._getframe(1)))
        stack.flush()
        leave(status)

    os._exit = note_exit
    if any(entry.group == AGENTS_GROUP for entry in request.entries):
        import_livekit_first(request.config)
    use_clock(STOPPED_CLOCK)  # whoever has started this process has one
    lines = _Lines()
    logger.addHandler(lines)
    reached = _Progress(request.entries, folder / PROGRESS)

    def take_entries() -> Iterator[Entry]:
        for entry in reached:
            # The clock runs from here: on a busy machine livekit's own import may take longer than any agent's.
            faulthandler.dump_traceback_later(request.timeout, exit=True, file=stack)
            yield entry
        faulthandler.cancel_dump_traceback_later()

    plugins: tuple[LoadedPlugin, ...] = ()
    try:
        loaded = _load(request, take_entries())
        found, plugins = _describe(request, loaded), loaded.plugins
    except BaseException as error:  # KeyboardInterrupt is a package's: nobody presses keys in this process
        found = {"ended": explain_error(error, reached.entry).status.to_json()}
    unfinished = folder / f"{RESULT}.part"
    unfinished.write_text(json.dumps(found | {"lines": lines.written}), encoding="utf-8")
    unfinished.replace(folder / RESULT)
    if request.checks:
        call_checks(plugins, request.config, folder / CHECKS)
    leave(0)


def import_livekit_first(config: Config) -> None:
    """Keep livekit's seconds out of the agents' milliseconds; a worker has imported it by then, and in this way.

    Args:
        config: The settings, which say how.
    """
    show_livekit()
    tolerate_unreadable_metadata()
    if "imports" in config.worker.speedups:
        from openrtc.speedups.imports import defer_imports

        defer_imports()
    try:
        import_module("livekit.agents")
    except Exception as error:
        # The agent's own import fails in the same way, and that becomes its row.
        print(f"livekit.agents cannot be imported: {error!r}", file=sys.stderr)


def _replace_streams(errors: Connection | None) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    told = nowhere if errors is None or os.name != "posix" else errors.fileno()  # elsewhere it is no file
    for descriptor, target in ((0, nowhere), (1, nowhere), (2, told)):
        os.dup2(target, descriptor)


class _Progress:
    """Goes through entries, and keeps which one it has come to where it can be read when this process is gone.

    Args:
        entries: The entries.
        file: Where their numbers are written.
    """

    def __init__(self, entries: Sequence[Entry], file: Path) -> None:
        self.entry = entries[0]
        self._entries = entries
        self._file = file

    def __iter__(self) -> Iterator[Entry]:
        for number, entry in enumerate(self._entries):
            if entry.usable:
                self.entry = entry
                self._file.write_text(str(number), encoding="ascii")
            yield entry


class _Lines(logging.Handler):
    """Keeps what is said of the packages' imports, since nobody sees what this process prints."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append((record.levelno, record.getMessage()))


def _frame_line(frame: FrameType) -> str:
    return f'File "{frame.f_code.co_filename}", line {frame.f_lineno}\n'


def describe_loaded(request: Request, entries: Iterable[Entry]) -> dict[str, Any]:
    """Import entries in this process, and return what they bring.

    Args:
        request: What to import.
        entries: Yields the request's entries one after the other.
    """
    return _describe(request, _load(request, entries))


def _load(request: Request, entries: Iterable[Entry]) -> Loaded:
    know_distributions(request.entries)
    return load(entries, request.config)


def _describe(request: Request, loaded: Loaded) -> dict[str, Any]:
    numbers = {id(entry): number for number, entry in enumerate(request.entries)}
    offered = {key for plugin in loaded.plugins for key in collect_contributions(plugin).resources}
    plugins = {numbers[id(plugin.entry)]: plugin for plugin in loaded.plugins}
    return {
        "loaded": [_to_json(agent, numbers, request.config) for agent in loaded.agents],
        "settled": [_to_json(agent, numbers, request.config, offered) for agent in Catalog.of(loaded).rows],
        "plugins": {number: plugin.status.to_json() for number, plugin in plugins.items()},
    }


def _to_json(
    agent: LoadedAgent, numbers: Mapping[int, int], config: Config, resources: Collection[str] | None = None
) -> dict[str, Any]:
    assert agent.entry is not None  # none is registered in code
    summary = agent.spec.summary if agent.spec else agent.entry.summary
    fields = ("name", "load_ms", "asked_isolation", "shape", "members", "member_count", "notes")
    own = {name: getattr(agent, name) for name in fields}
    own["metadata_schema"] = build_schema(agent.spec)
    own["lacks"] = [lack.to_json() for lack in _find_lacks(agent, config, resources)]
    return own | {"number": numbers[id(agent.entry)], "summary": summary, "status": agent.status.to_json()}


def _find_lacks(agent: LoadedAgent, config: Config, resources: Collection[str] | None) -> tuple[Lack, ...]:
    try:
        return find_lacks(agent, config, resources=resources)
    except Exception as error:  # somebody's source, whatever it holds
        logger.debug("agent %r: it cannot be told what it lacks", agent.name, exc_info=error)
        return ()
