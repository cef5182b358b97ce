"""What the import of a package shows: the rules of its entry points, its import, its hooks and its modules' state.

It runs where packages' code may do whatever it does: in a process of its own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from openrtc.catalog.loaded import LoadedAgent, LoadedPlugin
from openrtc.check.card import Finding, RuleVerdict
from openrtc.check.endless import find_endless_retries
from openrtc.check.errors_of_code import is_error, is_slip
from openrtc.check.rules import LARGEST_IMPORT, SLOWEST_IMPORT
from openrtc.discovery.entries import COMMANDS_GROUP, Entry
from openrtc.errors import one_line, summarize_error
from openrtc.model.agents import AgentSpec
from openrtc.model.status import State, Status
from openrtc.plugins.lacks import tells_of_missing_key
from openrtc.plugins.module_state import find_module_state
from openrtc.plugins.own_modules import imported_name
from openrtc.upstream.digest import describe_changes

FIX_MARKS = "do it in a function that runs when the agent does, or take it out"
MEGABYTE = 1e6
"""Bytes."""
TRACER = "set_tracer_provider()"


def judge_entries(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Yield what is found of a distribution's entry points before anything is imported.

    Args:
        entries: All of them.
    """
    if not entries:
        fix = 'write [project.entry-points."openrtc.agents"] into pyproject.toml, as docs/first-agent.md has it'
        yield Finding("entry-points", RuleVerdict.FAILED, "it has none in a group of OpenRTC's", fix)
    for entry in entries:
        if entry.status.state is State.BROKEN:
            yield tell("entry-points", RuleVerdict.FAILED, entry.status, entry.name)
        elif entry.status.state is State.CONFLICT:
            yield tell("entry-points", RuleVerdict.NOT_CHECKED, entry.status, entry.name)
        else:
            yield Finding("entry-points", RuleVerdict.PASSED, f"{entry.group.rpartition('.')[2]}: {entry.name}")


def why_not_imported(entries: Sequence[Entry]) -> str:
    """Return why nothing of a distribution is imported; empty where something is."""
    imported = [entry for entry in entries if entry.group != COMMANDS_GROUP]
    if any(entry.usable for entry in imported):
        return ""
    if entries and not imported:
        return "it brings no agent and no plugin"
    return "see requirements" if any(one.state is State.INCOMPATIBLE for one in imported) else "see entry-points"


def judge_imports(agents: Sequence[LoadedAgent], plugins: Sequence[LoadedPlugin]) -> Iterator[Finding]:
    """Yield what is found of imports, agents and hooks.

    Args:
        agents: The agents that its entry points bring, usable or not.
        plugins: Its plugins and modules of hooks, usable or not.
    """
    rows: list[LoadedAgent | LoadedPlugin] = [*agents, *plugins]
    for row in rows:
        rule = "agents" if isinstance(row, LoadedAgent) else "hooks"
        entry = row.entry
        if entry is None or not entry.usable:
            continue
        if row.usable:
            yield Finding("imports", RuleVerdict.PASSED, f"{entry.module}")
            what = f"{row.name}: {row.shape}" if isinstance(row, LoadedAgent) else ", ".join(row.hooks)
            yield Finding(rule, RuleVerdict.PASSED, what)
        elif row.state is not State.BROKEN:
            yield tell(rule, RuleVerdict.NOT_CHECKED, row.status, row.name)
        elif _was_imported(entry):
            yield Finding("imports", RuleVerdict.PASSED, f"{entry.module}")
            yield tell(rule, RuleVerdict.FAILED, row.status, row.name)
        else:
            yield _judge_import(row)
            yield Finding(rule, RuleVerdict.NOT_CHECKED, "see imports")
    if not plugins:
        yield Finding("hooks", RuleVerdict.NOTHING, "it brings no plugin")
    if not agents:
        yield Finding("agents", RuleVerdict.NOTHING, "it brings no agent")


def judge_import_cost(seconds: float, size: float, *, busy: bool = False) -> Iterator[Finding]:
    """Yield what is found of an import's time and memory.

    Args:
        seconds: How long it took.
        size: By how many bytes the process has grown.
        busy: Whether the machine was, so that it may be no fault of the package.
    """
    slow, large = seconds >= SLOWEST_IMPORT, size >= LARGEST_IMPORT * MEGABYTE
    fix = "import what is heavy in the function that needs it"
    if slow and busy:
        yield Finding("import-time", RuleVerdict.NOT_CHECKED, f"{seconds:.2f} s, on a machine that is busy")
    else:
        verdict = RuleVerdict.FAILED if slow else RuleVerdict.PASSED
        yield Finding("import-time", verdict, f"{seconds:.2f} s", fix if slow else "")
    verdict = RuleVerdict.FAILED if large else RuleVerdict.PASSED
    yield Finding("import-memory", verdict, f"{max(size, 0) / MEGABYTE:.0f} MB", fix if large else "")


def judge_marks(told: Iterable[str]) -> Iterator[Finding]:
    """Yield what is found of what an import has changed of the process.

    Args:
        told: What the guard of imports has said of it, a line each.
    """
    lines = list(told)
    for line in lines:
        yield Finding("marks", RuleVerdict.FAILED, line, FIX_MARKS)
    if not lines:
        yield Finding("marks", RuleVerdict.PASSED, "it changes nothing")


def judge_sources(agents: Sequence[LoadedAgent]) -> Iterator[Finding]:
    """Yield what is seen in the sources of agents that could be loaded.

    Args:
        agents: The agents.
    """
    for agent in agents:
        if agent.spec is None or agent.entry is None or not agent.usable:
            continue
        roots = list_roots(agent.spec)
        try:
            yield from _check_source(agent, agent.entry, roots)
        except Exception as error:  # somebody's source, whatever it holds
            for rule in ("shared-state", "ends"):
                yield Finding(rule, RuleVerdict.NOT_CHECKED, f"{agent.name}: {summarize_error(error)}")


def _check_source(agent: LoadedAgent, entry: Entry, roots: Sequence[Callable[..., Any]]) -> Iterator[Finding]:
    writes = find_module_state(roots, entry)
    for write in writes:
        if agent.spec and agent.spec.isolation in ("coroutine", "process"):
            note = f"{write.name} is written, and its package says isolation = {agent.spec.isolation!r}"
            yield Finding("shared-state", RuleVerdict.PASSED, note, location=write.location)
        else:
            yield Finding("shared-state", RuleVerdict.FAILED, *_describe_write(write.name, agent), write.location)
    if not writes:
        yield Finding("shared-state", RuleVerdict.PASSED, "none was seen")
    loops = find_endless_retries(roots, entry)
    for loop in loops:
        what = f"{agent.name}: it tries {loop.task} for ever, which fails at once when the caller has gone"
        yield Finding("ends", RuleVerdict.FAILED, what, "return where the task fails, or raise", loop.location)
    if not loops:
        yield Finding("ends", RuleVerdict.PASSED, "none was seen")


def _describe_write(name: str, agent: LoadedAgent) -> tuple[str, str]:
    """Return what a call writes that all calls of a process share, and what to do about it."""
    if name.endswith("()"):
        what = f"{agent.name}: its calls call {name}, which sets something for the whole process"
        if name == TRACER and not describe_changes("traces"):
            what += " (OpenRTC gives each call its own)"
        return what, "do it once, at the start of the process, or not in the package"
    what = f"{agent.name}: its calls write {name}, which all calls of a process share"
    if agent.spec and agent.spec.entrypoint is not None:
        what += " (a worker gives each of its calls a process for that)"
    return what, 'keep it in the agent, or in the session\'s userdata; or say openrtc_isolation = "process"'


def list_roots(spec: AgentSpec) -> list[Callable[..., Any]]:
    """Return what a call of an agent runs.

    Args:
        spec: How it is built.
    """
    members = [member.spec.agent for member in spec.cast.members if member.spec] if spec.cast else []
    runs = (spec.entrypoint, spec.agent, *members, spec.on_session_end, spec.on_simulation_end)
    return [one for one in runs if one is not None]


def tell(rule: str, verdict: RuleVerdict, status: Status, who: str) -> Finding:
    """Return a finding of what a status says.

    Args:
        rule: The rule.
        verdict: What it comes to.
        status: Where something stands.
        who: What that is.
    """
    return Finding(rule, verdict, one_line(f"{who}: {status.reason}"), status.fix or "", status.location or "")


def _was_imported(entry: Entry) -> bool:
    return imported_name(entry) in sys.modules


def _judge_import(row: LoadedAgent | LoadedPlugin) -> Finding:
    reason = row.reason or ""
    if tells_of_missing_key(reason):
        what = f"{row.name}: its import needs a key, which is handed to nobody here: {reason}"
        fix = "make models where an agent is built: in its __init__, or in a factory"
        return Finding("imports", RuleVerdict.NOT_CHECKED, one_line(what), fix, row.location or "")
    if "which is not installed" in reason or (is_error(reason) and not is_slip(reason) and not _is_own_import(row)):
        return tell("imports", RuleVerdict.NOT_CHECKED, row.status, row.name)
    return tell("imports", RuleVerdict.FAILED, row.status, row.name)


def _is_own_import(row: LoadedAgent | LoadedPlugin) -> bool:
    """Whether a name is missing in a module of the package itself, and not in one that may be another version here."""
    found = re.match(r"ImportError: cannot import name .* from (?:[\w ]+)?'(\w+)", row.reason or "")
    return found is not None and row.entry is not None and found[1] == row.entry.module.partition(".")[0]
