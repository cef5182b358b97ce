"""`openrtc list-agents`: every installed agent, usable or not, and why."""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from openrtc.cli.setting_options import configure_by_pool, read_settings, runtime_arguments

if TYPE_CHECKING:
    from openrtc.catalog.loaded import LoadedAgent
    from openrtc.discovery.entries import Entry
    from openrtc.model.agents import AgentSpec
    from openrtc.settings.config import Config

HOW_TO_GET_ONE = """No agent is installed.
An agent is a pip package with an entry point in the group "openrtc.agents". In its pyproject.toml:

  [project.entry-points."openrtc.agents"]
  support = "my_package:SupportAgent"

Install one with pip install, then look again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--load", action="store_true", help="import each agent, alone and then all as a worker does, in other processes"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit 1 if any agent is not usable, but for those that you have switched off",
    )


def run(args: argparse.Namespace) -> int:
    """List the agents; exit 1 with ``--strict`` when one is not usable and the operator has not switched it off."""
    # Imports leave hardly any garbage, and looking for it would take a tenth of this command's time.
    gc.disable()
    try:
        return _list(args)
    finally:
        gc.enable()


def _list(args: argparse.Namespace) -> int:
    from openrtc.cli.output import json_output, warn_of_drift

    if args.json:
        with json_output() as write:
            rows, entries = _find_rows(args)
            write({"schema_version": 1, "agents": rows})
    else:
        rows, entries = _find_rows(args)
        _print(rows, entries, args.load)
    if entries:
        warn_of_drift()
    return _judge(rows) if args.strict else 0


def _find_rows(args: argparse.Namespace) -> tuple[list[dict[str, Any]], Sequence[Entry]]:
    from openrtc.catalog.name_checks import check_distribution_names
    from openrtc.catalog.required import find_unmet
    from openrtc.catalog.rows import entry_row
    from openrtc.cli.output import print_warning
    from openrtc.discovery.discover import discover
    from openrtc.discovery.entries import AGENTS_GROUP

    config = configure_by_pool(args, read_settings(args))
    in_code = runtime_arguments(args)
    entries = discover(config, print_warning) if in_code.get("discovered", True) else ()
    check_distribution_names(config, entries, print_warning)
    for problem in find_unmet(config, entries, entries):
        print_warning(str(problem))
    if in_code:
        return _rows_of_program(entries, config, in_code["specs"], args.load), entries
    if args.load:
        return _load_rows(entries, config), entries
    return [entry_row(entry, config) for entry in entries if entry.group == AGENTS_GROUP], entries


def _load_rows(entries: Sequence[Entry], config: Config) -> list[dict[str, Any]]:
    from openrtc.catalog.rows import loaded_row

    return [loaded_row(agent, config) | {"alone": _describe_alone(agent)} for agent in _probe(entries, config)]


def _probe(entries: Sequence[Entry], config: Config) -> list[LoadedAgent]:
    from openrtc.cli.output import show_progress
    from openrtc.plugins.probe.probe import probe_all

    config.env_files.export(os.environ)  # as for a worker: packages may read their keys at import
    count = sum(1 for entry in entries if entry.usable)
    with show_progress(f"importing {count} entry points, each alone and then all together"):
        return probe_all(entries, config)


def _rows_of_program(
    entries: Sequence[Entry], config: Config, specs: Sequence[AgentSpec], load: bool
) -> list[dict[str, Any]]:
    """Return the rows of the agents that a program registers, and of the installed ones that it uses too."""
    from openrtc.catalog.catalog import Catalog
    from openrtc.catalog.loaded import Loaded, LoadedAgent
    from openrtc.catalog.rows import loaded_row
    from openrtc.discovery.entries import AGENTS_GROUP

    listed = [entry for entry in entries if entry.group == AGENTS_GROUP]
    installed = _probe(entries, config) if load else [LoadedAgent.of_entry(entry) for entry in listed]
    catalog = Catalog.of(Loaded(agents=tuple(installed), policy=config.policy), specs=specs)
    rows = [loaded_row(agent, config) | {"alone": _describe_alone(agent)} for agent in catalog.rows]
    return [
        row | {"summary": row["summary"] or _summarise(agent)} for row, agent in zip(rows, catalog.rows, strict=True)
    ]


def _summarise(agent: LoadedAgent) -> str:
    from openrtc.plugins.agent_targets import summarise

    return summarise(agent.spec.agent or agent.spec.entrypoint) if agent.spec else ""


def _describe_alone(agent: LoadedAgent) -> dict[str, Any] | None:
    return {**agent.alone.to_json(), "because_of": agent.because_of or None} if agent.alone else None


def _judge(rows: Sequence[dict[str, Any]]) -> int:
    from openrtc.cli.output import is_problem, say

    unusable = [f"{row['name']} ({row['state']})" for row in rows if is_problem(row)]
    if unusable:
        say(f"openrtc: not usable: {', '.join(unusable)}", error=True)
    return 1 if unusable else 0


def _print(rows: Sequence[dict[str, Any]], entries: Sequence[Entry], loaded: bool) -> None:
    from openrtc.cli.output import print_fixes
    from openrtc.cli.table import TextTable
    from openrtc.discovery.entries import AGENTS_GROUP
    from openrtc.model.status import State

    if not rows:
        print(HOW_TO_GET_ONE)
    else:
        table = TextTable("Agent", "State", "Package", *(["ms"] if loaded else []), "What it is")
        for row in rows:
            package = f"{row['distribution']} {row['version']}".strip()
            ms = [f"{row['load_ms']:.0f}" if row["load_ms"] else ""] if loaded else []
            state = "lacking" if row["lacks"] else row["state"]
            table.add(row["name"], state, package, *ms, _describe(row, loaded))
        table.print()
        print_fixes(rows)
    if problems := sum(1 for entry in entries if entry.group != AGENTS_GROUP and entry.state is State.BROKEN):
        print(f"\n{problems} plugin{'s' if problems > 1 else ''} cannot be used: see openrtc plugins")


def _describe(row: dict[str, Any], loaded: bool) -> str:
    if row["reason"]:
        return str(row["reason"])
    if row["kind"] == "hook-module" and not loaded:
        return f"{row['summary']} (its agents appear with --load)".strip()
    if loaded and row["alone"]:
        after = f", and works after {row['alone']['because_of']}" if row["alone"]["because_of"] else ""
        return f"{row['summary']} (it is broken alone{after}: {row['alone']['reason']})".strip()
    lacks = f"(it lacks {'; '.join(lack['what'] for lack in row['lacks'])})" if row["lacks"] else ""
    isolation = f"(isolation: {row['isolation']})" if row["isolation"] not in (None, "coroutine") else ""
    notes = f"({'; '.join(row['notes'])})" if row["notes"] else ""
    return " ".join(filter(None, (row["summary"], lacks, isolation, notes)))
