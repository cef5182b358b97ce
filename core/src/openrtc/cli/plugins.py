"""`openrtc plugins`: every installed plugin, what it brings, and why one cannot be used."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

NONE_INSTALLED = """No plugin is installed.
A plugin brings routers, resources, providers or observers through an entry point in the group "openrtc.plugins"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Import the plugins and list them."""
    from openrtc.cli.output import json_output

    if args.json:
        with json_output() as write:
            write({"schema_version": 1, "plugins": _rows(args)})
    else:
        _print(_rows(args))
    return 0


def _rows(args: argparse.Namespace) -> list[dict[str, Any]]:
    from openrtc.cli.output import warn
    from openrtc.discovery.discover import discover, policy_warnings
    from openrtc.plugins.load import load_plugins
    from openrtc.settings import load_config

    config = load_config(args.config, overrides=vars(args))
    entries = discover(config)
    warn(policy_warnings(config.policy, entries))
    loaded = load_plugins(entries, config)
    brought: dict[str, list[str]] = {}
    for agent in loaded.agents:
        if agent.entry and not agent.entry.is_agent:
            brought.setdefault(f"{agent.distribution}:{agent.entry.name}", []).append(agent.name)
    return [_row(plugin, brought.get(plugin.name, [])) for plugin in loaded.plugins]


def _row(plugin: Any, agents: list[str]) -> dict[str, Any]:
    from openrtc.plugins.contributions import contributions_of

    brings = contributions_of(plugin)
    fault = brings.fault
    return {
        "name": plugin.name,
        "state": "broken" if fault else str(plugin.state),
        "distribution": plugin.entry.distribution,
        "version": plugin.entry.version,
        "entry_point": plugin.entry.value,
        "group": plugin.entry.group,
        "summary": plugin.entry.summary,
        "hooks": list(plugin.hooks),
        "agents": agents,
        "resources": list(brings.resources),
        "providers": list(brings.providers),
        "routers": [{"name": plugin.name, "tryfirst": brings.tryfirst}] if brings.router else [],
        "reason": fault.reason if fault else plugin.reason,
        "fix": fault.fix if fault else plugin.fix,
        "location": fault.location if fault else plugin.location,
        "load_ms": plugin.load_ms or None,
    }


def _print(rows: Sequence[dict[str, Any]]) -> None:
    from rich.text import Text

    from openrtc.cli.output import console, new_table, print_fixes, state_text

    out = console()
    if not rows:
        out.print(Text(NONE_INSTALLED))
        return
    table = new_table("Plugin", "State", "Version", "What it brings")
    for row in rows:
        about = Text(row["reason"] or "; ".join(_brings(row)))
        table.add_row(Text(row["name"]), state_text(row["state"]), Text(row["version"]), about)
    out.print(table)
    print_fixes(out, rows)


def _brings(row: dict[str, Any]) -> list[str]:
    first = [router["tryfirst"] for router in row["routers"]]
    parts = [f"{kind}: {', '.join(row[kind])}" for kind in ("agents", "resources", "providers") if row[kind]]
    parts += ["router, asked before the built-in rules (tryfirst)" if ahead else "router" for ahead in first]
    told = ("openrtc_agents", "openrtc_resources", "openrtc_providers", "openrtc_route")
    observed = [hook.removeprefix("openrtc_") for hook in row["hooks"] if hook not in told]
    return parts + ([f"hooks: {', '.join(observed)}"] if observed else [])
