"""`openrtc sip rule`: let agents answer calls that come by SIP."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from openrtc.cli.commands import Action
from openrtc.cli.dispatch_options import (
    add_any_option,
    add_attribute_option,
    add_output_options,
    parse_pairs,
    read_connection,
    run_async,
)
from openrtc.cli.output import print_json, say
from openrtc.cli.setting_options import add_actions

if TYPE_CHECKING:
    from openrtc.dispatch.sip_rules import SipRule

_EXAMPLES = (
    "openrtc sip rule create --name support --agent support",
    "openrtc sip rule create --name sales --agent sales --trunk ST_1234 --room-prefix sales-",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    add_actions(parser, {"rule": Action("dispatch rules: which agent answers", _add_rule)})


def _add_rule(parser: argparse.ArgumentParser) -> None:
    add_actions(
        parser,
        {
            "create": Action("let agents answer", _add_create, _create, _EXAMPLES),
            "list": Action("list the rules", add_output_options, _list, ("openrtc sip rule list",)),
            "delete": Action("delete a rule", _add_delete, _delete, ("openrtc sip rule delete SDR_1234",)),
        },
    )


def _add_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, metavar="NAME", help="name of the rule")
    parser.add_argument(
        "--agent",
        action="append",
        required=True,
        metavar="AGENT[=METADATA]",
        help="agent that comes into each new room (repeatable)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--room", default="", metavar="ROOM", help="one room for all calls")
    which.add_argument(
        "--room-prefix", default="call-", metavar="TEXT", help="a room for each call, named so (default: call-)"
    )
    parser.add_argument("--trunk", action="append", default=[], metavar="ID", help="only for this trunk (repeatable)")
    parser.add_argument("--pin", default="", metavar="DIGITS", help="what callers must enter")
    add_attribute_option(parser, "the callers")
    add_any_option(parser)
    add_output_options(parser)


def _add_delete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="id of the rule, as openrtc sip rule list shows it")
    add_output_options(parser)


def _create(args: argparse.Namespace) -> int:
    from openrtc.dispatch.agent_request import AgentRequest
    from openrtc.dispatch.sip_rules import create_sip_rule

    requests = [AgentRequest.parse(text) for text in args.agent]
    connection = read_connection(args, [request.agent for request in requests])
    rule = run_async(
        create_sip_rule(
            args.name,
            agents=requests,
            room_prefix=args.room_prefix,
            room=args.room,
            trunks=args.trunk,
            pin=args.pin,
            attributes=parse_pairs(args.attribute),
            connection=connection,
        )
    )
    if args.json:
        print_json(rule=rule.to_json())
    else:
        _print_table([rule])
    return 0


def _list(args: argparse.Namespace) -> int:
    from openrtc.dispatch.sip_rules import list_sip_rules

    rules = run_async(list_sip_rules(connection=read_connection(args)))
    if args.json:
        print_json(rules=[rule.to_json() for rule in rules])
    elif rules:
        _print_table(rules)
    else:
        print("there is no SIP dispatch rule")
    return 0


def _delete(args: argparse.Namespace) -> int:
    from openrtc.dispatch.sip_rules import delete_sip_rule

    rule = run_async(delete_sip_rule(args.id, connection=read_connection(args)))
    if args.json:
        print_json(deleted=rule.id)
    else:
        say(f"deleted {rule.id} ({rule.name})")
    return 0


def _print_table(rules: Sequence[SipRule]) -> None:
    from openrtc.cli.table import TextTable

    table = TextTable("Rule", "Name", "Rooms", "Agents", "Trunks", "PIN")
    for rule in rules:
        agents = ", ".join(one.agent or one.agent_name or "(automatic)" for one in rule.agents)
        rooms = rule.room or f"{rule.room_prefix}…"
        trunks = ", ".join(rule.trunks) or "all"
        table.add(rule.id, rule.name, rooms, agents, trunks, "yes" if rule.pin else "no")
    table.print()
