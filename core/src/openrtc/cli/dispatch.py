"""`openrtc dispatch`: send agents to rooms through the LiveKit server's API."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from openrtc.cli.commands import Action
from openrtc.cli.dispatch_options import (
    add_any_option,
    add_attribute_option,
    add_metadata_option,
    add_output_options,
    add_room_options,
    choose_room,
    parse_pairs,
    parse_seconds,
    read_connection,
    run_async,
)
from openrtc.cli.output import print_json, say, warn_of_drift
from openrtc.cli.setting_options import add_actions

if TYPE_CHECKING:
    from openrtc.dispatch.connection import LiveKitConnection
    from openrtc.dispatch.dispatches import Dispatch

_CREATE_EXAMPLES = (
    "openrtc dispatch create --room support-call-1 --agent support --wait",
    """openrtc dispatch create --new-room --metadata '{"tier": "gold"}'""",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    add_actions(
        parser,
        {
            "create": Action("send an agent to a room", _add_create, _create, _CREATE_EXAMPLES),
            "list": Action(
                "list the dispatches of a room", _add_room, _list, ("openrtc dispatch list support-call-1",)
            ),
            "get": Action("show a dispatch", _add_one, _get, ("openrtc dispatch get support-call-1 AD_1234",)),
            "delete": Action(
                "delete a dispatch: its agent leaves the room",
                _add_one,
                _delete,
                ("openrtc dispatch delete support-call-1 AD_1234",),
            ),
        },
    )


def _add_create(parser: argparse.ArgumentParser) -> None:
    add_room_options(parser)
    parser.add_argument("--agent", default="", metavar="AGENT", help="which agent; by default the routing decides")
    add_metadata_option(parser)
    add_attribute_option(parser, "the job")
    parser.add_argument(
        "--wait", action="store_true", help="wait until the agent is in the room; say why if none comes"
    )
    parser.add_argument(
        "--timeout", type=parse_seconds, default=15.0, metavar="SECONDS", help="for --wait (default: 15)"
    )
    add_any_option(parser)
    add_output_options(parser)


def _add_room(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("room", metavar="ROOM", help="name of the room")
    add_output_options(parser)


def _add_one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("room", metavar="ROOM", help="name of the room")
    parser.add_argument("id", metavar="ID", help="id of the dispatch, as openrtc dispatch list shows it")
    add_output_options(parser)


def _create(args: argparse.Namespace) -> int:
    from openrtc.dispatch.dispatches import create_dispatch

    attributes = parse_pairs(args.attribute)
    connection = read_connection(args, [args.agent])
    room = choose_room(args, args.agent)
    dispatch = run_async(
        create_dispatch(room, args.agent, metadata=args.metadata, attributes=attributes, connection=connection)
    )
    if args.agent:
        warn_of_drift([args.agent])
    if args.wait:
        return _await_agent(args, dispatch, connection)
    _show(args, dispatch)
    if not args.json:
        say(f"openrtc dispatch get {room} {dispatch.id} shows whether a worker takes it; --wait waits for that")
    return 0


def _await_agent(args: argparse.Namespace, dispatch: Dispatch, connection: LiveKitConnection) -> int:
    from openrtc.dispatch.waiting import DispatchLost, wait_for_agent

    try:
        joined = run_async(wait_for_agent(dispatch, seconds=args.timeout, connection=connection))
    except DispatchLost as lost:
        _show(args, dispatch, lost={"reason": lost.message, "fix": lost.fix})
        say(f"openrtc: {lost}", error=True)
        return 1
    about = {"identity": joined.identity, "name": joined.name, "agent": joined.agent, "seconds": joined.seconds}
    _show(args, joined.dispatch, joined=about)
    return 0


def _list(args: argparse.Namespace) -> int:
    from openrtc.dispatch.dispatches import list_dispatches

    found = run_async(list_dispatches(args.room, connection=read_connection(args)))
    if args.json:
        print_json(dispatches=[dispatch.to_json() for dispatch in found])
    elif found:
        _print_table(found)
    else:
        print(f"room {args.room!r} has no dispatch, or is not there")
    return 0


def _get(args: argparse.Namespace) -> int:
    from openrtc.dispatch.dispatches import get_dispatch

    found = run_async(get_dispatch(args.room, args.id, connection=read_connection(args)))
    if found is None:
        print(f"openrtc: room {args.room!r} has no dispatch {args.id!r}", file=sys.stderr)
        return 1
    _show(args, found)
    return 0


def _delete(args: argparse.Namespace) -> int:
    from openrtc.dispatch.dispatches import delete_dispatch

    run_async(delete_dispatch(args.room, args.id, connection=read_connection(args)))
    if args.json:
        print_json(deleted=args.id)
    else:
        print(f"deleted {args.id}: its agent leaves room {args.room!r}")
    return 0


def _show(args: argparse.Namespace, dispatch: Dispatch, **outcome: dict[str, Any]) -> None:
    if args.json:
        print_json(dispatch=dispatch.to_json(), **outcome)
        return
    _print_table([dispatch])
    if joined := outcome.get("joined"):
        who = joined["agent"] or joined["name"] or joined["identity"]
        say(f"{who} is in room {dispatch.room!r} as {joined['identity']!r}, after {joined['seconds']:.2f} s")


def _print_table(dispatches: Any) -> None:
    from openrtc.cli.table import TextTable

    table = TextTable("Dispatch", "Room", "Agent", "Worker's name", "Jobs")
    for one in dispatches:
        jobs = ", ".join(f"{job.id} {job.state} {job.identity}".strip() for job in one.jobs) or "none yet"
        named = one.agent_name or "(automatic)"
        table.add(one.id, one.room, one.agent or "(routing decides)", named, jobs)
    table.print()
