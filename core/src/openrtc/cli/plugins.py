"""`openrtc plugins`: every installed plugin and command, what it brings, and why one cannot be used."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from openrtc.cli.setting_options import read_settings

NONE_INSTALLED = """No plugin is installed.
A plugin brings routers, resources, providers or observers through an entry point in the group "openrtc.plugins"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Import the plugins and list them; commands are not imported."""
    from openrtc.cli.output import json_output

    if args.json:
        with json_output() as write:
            plugins, commands = _find_rows(args)
            write({"schema_version": 1, "plugins": plugins, "commands": commands})
    else:
        _print(*_find_rows(args))
    return 0


def _find_rows(args: argparse.Namespace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from openrtc.catalog.name_checks import check_distribution_names
    from openrtc.catalog.required import find_unmet
    from openrtc.cli.output import print_warning
    from openrtc.cli.package_commands import find_commands
    from openrtc.discovery.discover import discover
    from openrtc.plugins.load import load_plugins
    from openrtc.plugins.rows import build_command_row, build_plugin_rows

    config = read_settings(args)
    entries = discover(config, print_warning)
    check_distribution_names(config, entries, print_warning)
    for problem in find_unmet(config, entries, entries):
        print_warning(str(problem))
    commands = [build_command_row(entry) for entry in find_commands(entries)]
    return build_plugin_rows(load_plugins(entries, config)), commands


def _print(plugins: Sequence[dict[str, Any]], commands: Sequence[dict[str, Any]]) -> None:
    from openrtc.cli.output import print_fixes
    from openrtc.cli.table import TextTable

    rows = [*plugins, *commands]
    if not rows:
        print(NONE_INSTALLED)
        return
    table = TextTable("Plugin", "State", "Version", "What it brings")
    for row in rows:
        table.add(row["name"], row["state"], row["version"], row["reason"] or "; ".join(_list_contributions(row)))
    table.print()
    print_fixes(rows)


def _list_contributions(row: dict[str, Any]) -> list[str]:
    if "command" in row:
        return [f"command: openrtc {row['command']}"]
    first = [router["tryfirst"] for router in row["routers"]]
    parts = [f"{kind}: {', '.join(row[kind])}" for kind in ("agents", "resources", "providers") if row[kind]]
    parts += ["router, asked before the built-in rules (tryfirst)" if ahead else "router" for ahead in first]
    named = ("openrtc_agents", "openrtc_resources", "openrtc_providers", "openrtc_route")
    observed = [hook.removeprefix("openrtc_") for hook in row["hooks"] if hook not in named]
    return parts + ([f"hooks: {', '.join(observed)}"] if observed else [])
