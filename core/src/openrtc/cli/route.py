"""`openrtc route`: explain which agent would answer a call, without a server."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from openrtc.cli.dispatch_options import add_attribute_option, add_metadata_option, parse_pairs
from openrtc.cli.setting_options import add_routing_options, configure_by_pool, read_settings, runtime_arguments
from openrtc.model.isolation import ISOLATIONS

if TYPE_CHECKING:
    from openrtc.model.decision import Decision


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--room", required=True, metavar="ROOM", help="name of the room")
    add_metadata_option(parser)
    parser.add_argument("--job-metadata", dest="metadata", default="", help=argparse.SUPPRESS)  # its name in 0.1
    parser.add_argument("--room-metadata", default="", metavar="TEXT", help="metadata of the room")
    parser.add_argument(
        "--agent-name", default="", dest="dispatched_name", metavar="NAME", help="agent name of the dispatch"
    )
    add_attribute_option(parser, "the job")
    parser.add_argument(
        "--marked", action="store_true", help="as if the dispatch had been made by openrtc, with the API secret"
    )
    add_routing_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the decision and its trace; exit 0 when routed, 1 when rejected."""
    from openrtc.cli.output import json_output, warn_of_drift

    if args.json:
        with json_output() as write:
            decision, isolation = _decide(args)
            write(decision.to_json() | {"isolation": isolation})
    else:
        decision, isolation = _decide(args)
        _print(decision, isolation)
    warn_of_drift(decision.agents, [line.source for line in decision.trace])
    return 0 if decision.rejected is None else 1


def _decide(args: argparse.Namespace) -> tuple[Decision, str | None]:
    from openrtc.cli.output import print_warning
    from openrtc.model.request import RouteRequest
    from openrtc.routing.explain import explain_route

    request = RouteRequest.parse(
        room_name=args.room,
        agent_name=args.dispatched_name,
        attributes=parse_pairs(args.attribute),
        job_metadata=args.metadata,
        room_metadata=args.room_metadata,
        signed=args.marked or None,
    )
    config = configure_by_pool(args, read_settings(args))
    in_code = {name: value for name, value in runtime_arguments(args).items() if name != "observers"}
    return explain_route(request, config, print_warning, **in_code)


def _print(decision: Decision, isolation: str | None) -> None:
    from rich.markup import escape
    from rich.table import Table

    from openrtc.cli.output import build_console

    out = build_console()
    table = Table(box=None, pad_edge=False)
    for heading in ("Rule", "Source", "Answer", "Why", "ms"):
        table.add_column(heading, justify="right" if heading == "ms" else "left", overflow="fold")
    for line in decision.trace:
        answer = ", ".join(line.answer) if line.answer else "rejected" if line is decision.trace[-1] else "-"
        table.add_row(*map(escape, (line.rule, line.source, answer, line.reason)), f"{line.ms:.1f}")
    out.print(table)
    if decision.rejected is None:
        out.print(f"\n[bold green]{escape(decision.name)}[/] by {escape(decision.rule)}: {escape(decision.reason)}")
        if isolation not in (None, ISOLATIONS[0]):
            out.print(f"isolation: {isolation}")
    else:
        out.print(f"\n[bold red]rejected[/] by {escape(decision.rule)}: {escape(decision.rejected)}")
