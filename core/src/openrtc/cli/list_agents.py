"""`openrtc list-agents`: every installed agent, usable or not, and why."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openrtc.config import Config
    from openrtc.discovery.entries import Entry

HOW_TO_GET_ONE = """No agent is installed.
An agent is a pip package with an entry point in the group "openrtc.agents". In its pyproject.toml:

  [project.entry-points."openrtc.agents"]
  support = "my_package:SupportAgent"

Install one with pip install, then look again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--load", action="store_true", help="import each agent, in a process of its own")
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
    from openrtc.cli.output import json_output, warn

    if args.json:
        with json_output() as write:
            rows, entries = _rows(args, warn)
            write({"schema_version": 1, "agents": rows})
    else:
        rows, entries = _rows(args, warn)
        _print(rows, entries, args.load)
    return _verdict(rows) if args.strict else 0


def _rows(args: argparse.Namespace, warn: Any) -> tuple[list[dict[str, Any]], Sequence[Entry]]:
    from openrtc.catalog.agent_row import entry_row
    from openrtc.discovery.discover import discover, policy_warnings
    from openrtc.discovery.entries import AGENTS_GROUP
    from openrtc.settings import load_config

    config = load_config(args.config, overrides=vars(args))
    entries = discover(config)
    warn(policy_warnings(config.policy, entries))
    if args.load:
        return _loaded_rows(entries, config), entries
    return [entry_row(entry, config) for entry in entries if entry.group == AGENTS_GROUP], entries


def _loaded_rows(entries: Sequence[Entry], config: Config) -> list[dict[str, Any]]:
    from openrtc.catalog.agent_row import loaded_row
    from openrtc.catalog.casts import settle_casts
    from openrtc.catalog.clashes import settle
    from openrtc.plugins.probe import probe_all

    agents = settle_casts(settle(probe_all(entries), config.policy.prefer))
    return [loaded_row(agent, config) for agent in agents if agent.entry]


def _verdict(rows: Sequence[dict[str, Any]]) -> int:
    from openrtc.discovery.entries import State

    accepted = (State.READY, State.INSTALLED, State.DISABLED, State.NOT_ALLOWED)
    unusable = [f"{row['name']} ({row['state']})" for row in rows if row["state"] not in accepted]
    if unusable:
        print(f"openrtc: not usable: {', '.join(unusable)}", file=sys.stderr)
    return 1 if unusable else 0


def _print(rows: Sequence[dict[str, Any]], entries: Sequence[Entry], loaded: bool) -> None:
    from rich.text import Text

    from openrtc.cli.output import console, new_table, print_fixes, state_text
    from openrtc.discovery.entries import AGENTS_GROUP, State

    out = console()
    if not rows:
        out.print(Text(HOW_TO_GET_ONE))
    else:
        table = new_table("Agent", "State", "Package", *(["ms"] if loaded else []), "What it is")
        for row in rows:
            package = Text(f"{row['distribution']} {row['version']}".strip())
            ms = [Text(f"{row['load_ms']:.0f}" if row["load_ms"] else "")] if loaded else []
            table.add_row(Text(row["name"]), state_text(row["state"]), package, *ms, Text(_about(row, loaded)))
        out.print(table)
        print_fixes(out, rows)
    if problems := sum(1 for entry in entries if entry.group != AGENTS_GROUP and entry.state is State.BROKEN):
        out.print(f"\n{problems} plugin{'s' if problems > 1 else ''} cannot be used: see openrtc plugins")


def _about(row: dict[str, Any], loaded: bool) -> str:
    if row["reason"]:
        return str(row["reason"])
    if row["kind"] == "hook-module" and not loaded:
        return f"{row['summary']} (its agents appear with --load)".strip()
    apart = f"(isolation: {row['isolation']})" if row["isolation"] not in (None, "coroutine") else ""
    return f"{row['summary']} {apart}".strip()
