"""The process in which a package is imported and called: ``python -m openrtc.check.child FOLDER``.

It has no credentials, an empty current folder, and a folder of its own for temporary files.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import site
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import LoadedAgent
from openrtc.check.card import Finding, RuleVerdict
from openrtc.check.findings_file import REQUEST, STACK, FindingsFile
from openrtc.check.loading import (
    judge_entries,
    judge_imports,
    judge_marks,
    judge_sources,
    list_roots,
    why_not_imported,
)
from openrtc.check.requiring import judge_requirements
from openrtc.check.rules import BREAK_SECONDS, CHECK_RULES
from openrtc.check.tool_sources import judge_tool_sources
from openrtc.discovery.discover import discover
from openrtc.discovery.entries import COMMANDS_GROUP, Entry
from openrtc.model.names import normalise_name
from openrtc.observe.process_memory import resident_bytes
from openrtc.plugins.guard.clock import STOPPED_CLOCK, use_clock
from openrtc.plugins.load import load
from openrtc.plugins.own_modules import know_distributions
from openrtc.plugins.probe.child import import_livekit_first
from openrtc.posix import read_waiting
from openrtc.settings.config import Config, Policy, WorkerSettings


class MarksLog(logging.Handler):
    """Keeps what the guard of imports says, without whose import it was."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.module == "scope":
            said = record.getMessage().removeprefix(str(record.args[0]) if isinstance(record.args, tuple) else "")
            self.told.append("its import" + said.replace(": put back, since it is everybody's", ""))


def main(folder: Path) -> None:
    """Check what the request in a folder names, and write down what is found.

    Args:
        folder: Where the request is, and where findings go.
    """
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    found = FindingsFile(folder)
    if request["site"]:
        site.addsitedir(request["site"])
        sys.path.remove(request["site"])
        sys.path.insert(0, request["site"])
    stack = (folder / STACK).open("w", encoding="utf-8")
    faulthandler.enable(stack)
    # An entrypoint that writes into modules would be given a process of its own, as if its package had said so.
    config = Config(
        policy=Policy(allow=(request["distribution"],)),
        worker=WorkerSettings(foreign="shared", break_seconds=BREAK_SECONDS),
    )
    key = normalise_name(request["distribution"])
    entries = [one for one in discover(config) if normalise_name(one.distribution) == key]
    found.add(judge_requirements(request["distribution"]))
    found.add(judge_entries(entries))
    if why := why_not_imported(entries):
        found.note(done=True, why=why)
        return
    import_livekit_first(config)
    use_clock(STOPPED_CLOCK)  # the one here ends the process, and its parent tells
    marks = MarksLog()
    logging.getLogger("openrtc.plugins").addHandler(marks)
    logging.getLogger("openrtc.plugins").setLevel(logging.INFO)

    def take_entries() -> Iterator[Entry]:
        for entry in entries:
            if entry.usable and entry.group != COMMANDS_GROUP:
                found.note(step="import", module=entry.module, limit=request["import_seconds"])
                faulthandler.dump_traceback_later(request["import_seconds"], exit=True, file=stack)
            yield entry
        faulthandler.cancel_dump_traceback_later()

    know_distributions(entries)
    size, began, worked, waited = resident_bytes(), time.perf_counter(), time.thread_time(), read_waiting()
    loaded = load(take_entries(), config)
    seconds = time.perf_counter() - began - (read_waiting() - waited)
    idle = seconds - (time.thread_time() - worked)
    found.note(step="", seconds=seconds, idle=idle, bytes=resident_bytes() - size)
    if request["import_only"]:
        found.note(done=True)
        return
    agents = Catalog.of(loaded).rows
    found.add(judge_imports(agents, loaded.plugins))
    found.add(judge_marks(marks.told))
    found.add(judge_sources(agents))
    found.add(judge_tool_sources((one, list_roots(one.spec)) for one in agents if one.spec))
    _hold_calls(config, agents, found)
    found.note(done=True)


def _hold_calls(config: Config, agents: Sequence[LoadedAgent], found: FindingsFile) -> None:
    known = [one for one in agents if one.spec]
    if not known:
        why = "it brings no agent" if not agents else "see agents"
        verdict = RuleVerdict.NOT_CHECKED if agents else RuleVerdict.NOTHING
        rules = (rule.name for rule in CHECK_RULES if rule.of_agents)
        found.add(Finding(name, verdict, why) for name in rules)
        return
    from openrtc.check.calls import hold_calls  # it imports livekit, which is not needed for a router

    found.note(step="calls", module=known[0].entry.module if known[0].entry else "")
    os.environ["LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE"] = "0"  # nobody listens to audio here
    hold_calls(config, agents, found)


def run(arguments: Any) -> None:
    """Do it, and end without waiting for what the package has left."""
    leave = os._exit
    try:
        main(Path(arguments[0]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if sys.exc_info()[0] is None:
            leave(0)


if __name__ == "__main__":
    run(sys.argv[1:])
