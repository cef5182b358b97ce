"""What is wrong with the installed agents, plugins and commands, and with what the operator says of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import LoadedAgent
from openrtc.catalog.name_checks import check_agent_names
from openrtc.catalog.required import find_unmet
from openrtc.discovery.entries import AGENTS_GROUP, Entry
from openrtc.doctor.results import fail, of_error, of_line, of_status, ok, warn
from openrtc.errors import OpenRTCError
from openrtc.model.check_result import CheckResult
from openrtc.model.lack import Lack
from openrtc.model.status import Status
from openrtc.settings.config import Config, Policy
from openrtc.worker.start_checks import find_no_answers

AGENTS, PLUGINS, POLICY, IMPORTS, ROUTING = "agents", "plugins", "policy", "imports", "routing"
MOST_LISTED = 8
"""Names that one line tells."""


def check_policy(config: Config, entries: Sequence[Entry]) -> Iterator[CheckResult]:
    """Check what the operator shuts out, and requires.

    Args:
        config: The settings.
        entries: What is installed.
    """
    policy = config.policy
    unmet = list(find_unmet(config, entries, entries))
    for error in unmet:
        yield of_error(POLICY, error)
    shut_out = [f"{one.name} of {one.distribution}" for one in entries if one.status.switched_off]
    if shut_out:
        yield ok(POLICY, f"{_describe_policy(policy)} {_join(shut_out)}")
        if all(one.status.switched_off for one in entries if one.group == AGENTS_GROUP):
            yield warn(POLICY, f"{_describe_policy(policy)} every agent", "name those that you want in allow")
    elif not unmet:
        yield ok(POLICY, "nothing is shut out")


def check_entries(entries: Iterable[Entry]) -> Iterator[CheckResult]:
    """Tell what cannot be used, and why that is known before anything is imported.

    Args:
        entries: What is installed.
    """
    for entry in entries:
        if not (entry.usable or entry.status.switched_off):
            yield of_status(_name(entry), entry.distribution, entry.status)


def check_agents(rows: Sequence[LoadedAgent], config: Config) -> Iterator[CheckResult]:
    """Check the agents as a worker would have them.

    Args:
        rows: The agents, as trying them has shown.
        config: The settings.
    """
    catalog = Catalog(tuple(rows))
    for row in rows:
        yield from _judge_agent(row)
    ready = catalog.ready
    lacks = {name: catalog.get(name).lacks for name in ready}
    if error := find_no_answers(lacks):
        yield of_error(AGENTS, error)
    yield from _list_lacks(lacks)
    lacking = {name for name in ready if lacks[name]}
    answering = [name for name in ready if not lacking & {name, *catalog.get(name).members}]
    if answering:
        yield ok(AGENTS, f"{len(answering)} ready: {_join(answering)}")
    if not rows:
        fix = "install one with pip; docs/first-agent.md makes one"
        yield warn(AGENTS, "no agent is installed", fix)
    yield from _check_routing(catalog, config)


def check_plugins(entries: Sequence[Entry], statuses: Mapping[int, Status]) -> Iterator[CheckResult]:
    """Check the plugins as a worker would have them; a module that brings agents, too, is one of the agents.

    Args:
        entries: What is installed.
        statuses: Where each stands, by its number, as trying them has shown.
    """
    ready = []
    for number, status in statuses.items():
        entry = entries[number]
        if entry.group == AGENTS_GROUP:
            continue
        if status.usable:
            ready.append(f"{entry.distribution}:{entry.name}")
        elif not status.switched_off and entry.usable:
            yield of_status(_name(entry), entry.distribution, status)
    if ready:
        yield ok(PLUGINS, f"{len(ready)} ready: {_join(ready)}")


def check_imports(lines: Sequence[tuple[int, str]]) -> Iterator[CheckResult]:
    """Tell what imports have done to the process that all packages share.

    Args:
        lines: What was said of the imports: each with its level.
    """
    for level, line in lines:
        if level >= logging.WARNING:
            fix = "tell its author: that belongs into a function which is called, not into the import"
            yield of_line(IMPORTS, line, fix=fix)
        else:
            yield ok(IMPORTS, line)
    if not lines:
        yield ok(IMPORTS, "no package changes the process that all share")


def _judge_agent(row: LoadedAgent) -> Iterator[CheckResult]:
    name = f"agent {row.name}"
    if not row.usable and not row.status.switched_off and (row.entry is None or row.entry.usable):
        yield of_status(name, row.distribution, row.status)
    if row.usable and row.alone is not None:
        after = f", and works after {row.because_of}" if row.because_of else ""
        yield warn(name, f"broken alone{after}: {row.alone.reason}", row.alone.fix or "", row.alone.location or "")


def _list_lacks(lacks: Mapping[str, Sequence[Lack]]) -> Iterator[CheckResult]:
    """Yield what agents lack, once for all that lack the same."""
    lacking: dict[Lack, list[str]] = {}
    for name, found in lacks.items():
        for lack in found:
            lacking.setdefault(lack, []).append(name)
    for lack, names in lacking.items():
        what = f"{'it lacks' if len(names) == 1 else 'they lack'} {lack.what}"
        yield warn(AGENTS, f"{_join(names)} cannot answer: {what}", lack.fix)


def _check_routing(catalog: Catalog, config: Config) -> Iterator[CheckResult]:
    warnings: list[str] = []
    try:
        check_agent_names(config, catalog.names, warnings.append)
    except OpenRTCError as error:
        yield of_error(ROUTING, error)
    for line in warnings:
        yield of_line(ROUTING, line)
    default = config.routing.default
    if default in catalog.names and (problem := catalog.why_unusable(default)):
        yield fail(ROUTING, f"the default: {problem}", "name an agent in [routing] default that is ready")


def _name(entry: Entry) -> str:
    if entry.is_command:
        return f"command {entry.name}"
    return f"{'agent' if entry.group == AGENTS_GROUP else 'plugin'} {entry.name}"


def _describe_policy(policy: Policy) -> str:
    if policy.allow is not None and policy.deny:
        return "allow and deny shut out"
    return "deny shuts out" if policy.allow is None else "allow shuts out"


def _join(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
