"""`openrtc route`: explain which agent would answer a call, without a server."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from openrtc.catalog.isolation import KINDS
from openrtc.cli.wish_options import add_attribute, pairs
from openrtc.cli.worker_options import add_routing_limits

if TYPE_CHECKING:
    from openrtc.catalog.catalog import Catalog
    from openrtc.config import Config
    from openrtc.routing.decision import Decision


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--room", required=True, metavar="ROOM", help="name of the room")
    parser.add_argument("--job-metadata", default="", metavar="JSON", help="metadata of the dispatch")
    parser.add_argument("--room-metadata", default="", metavar="JSON", help="metadata of the room")
    parser.add_argument(
        "--agent-name", default="", dest="dispatched_name", metavar="NAME", help="agent name of the dispatch"
    )
    add_attribute(parser, "the dispatch")
    add_routing_limits(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the decision and its trace; exit 0 when routed, 1 when rejected."""
    from openrtc.cli.output import json_output

    if args.json:
        with json_output() as write:
            decision, isolation = _decide(args)
            write(decision.to_json() | {"isolation": isolation})
    else:
        decision, isolation = _decide(args)
        _print(decision, isolation)
    return 0 if decision.rejected is None else 1


def _decide(args: argparse.Namespace) -> tuple[Decision, str | None]:
    """Return the decision, and where the call runs: None where only the agent's package, not imported here, knows."""
    from openrtc.catalog.catalog import Catalog
    from openrtc.discovery.discover import discover
    from openrtc.hooks.hooks import Hooks
    from openrtc.plugins.load import load_plugins
    from openrtc.routing.request import RouteRequest
    from openrtc.routing.router import Router
    from openrtc.settings import load_config

    config = load_config(args.config, overrides=vars(args))
    loaded = load_plugins(discover(config), config)
    catalog = Catalog.of(loaded)
    hooks = Hooks(plugin for plugin in loaded.plugins if plugin.state == "ready")
    router = Router(catalog, hooks, config.routing, worker_agent_name=config.worker.agent_name)
    request = RouteRequest.parse(
        room_name=args.room,
        agent_name=args.dispatched_name,
        attributes=pairs(args.attribute),
        job_metadata=args.job_metadata,
        room_metadata=args.room_metadata,
    )
    decision = asyncio.run(router.route(request))
    return decision, _isolation(decision, catalog, config)


def _isolation(decision: Decision, catalog: Catalog, config: Config) -> str | None:
    if decision.rejected is not None:
        return None
    names = decision.agents
    known = all(name in config.isolation or catalog.get(name).spec is not None for name in names)
    if not known and config.worker.isolation != KINDS[-1]:
        return None
    return max((catalog.isolation(name, config) for name in names), key=KINDS.index)


def _print(decision: Decision, isolation: str | None) -> None:
    from rich.markup import escape
    from rich.table import Table

    from openrtc.cli.output import console

    out = console()
    table = Table(box=None, pad_edge=False)
    for heading in ("Rule", "Source", "Answer", "Why", "ms"):
        table.add_column(heading, justify="right" if heading == "ms" else "left", overflow="fold")
    for line in decision.trace:
        answer = ", ".join(line.answer) if line.answer else "rejected" if line is decision.trace[-1] else "-"
        table.add_row(*map(escape, (line.rule, line.source, answer, line.reason)), f"{line.ms:.1f}")
    out.print(table)
    if decision.rejected is None:
        out.print(f"\n[bold green]{escape(decision.name)}[/] by {escape(decision.rule)}: {escape(decision.reason)}")
        if isolation not in (None, KINDS[0]):
            out.print(f"isolation: {isolation}")
    else:
        out.print(f"\n[bold red]rejected[/] by {escape(decision.rule)}: {escape(decision.rejected)}")
