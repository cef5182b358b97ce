"""`openrtc token`: a token for a participant, who may bring agents into a new room."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from openrtc.cli.commands import Action
from openrtc.cli.dispatch_options import (
    add_any_option,
    add_attribute_option,
    add_room_options,
    add_server_options,
    choose_room,
    parse_duration,
    parse_pairs,
    read_connection,
    run_async,
)
from openrtc.cli.setting_options import add_actions

if TYPE_CHECKING:
    from openrtc.dispatch.connection import LiveKitConnection

LOOK_SECONDS = 3.0
"""How long to wait for the server to say whether the room exists: the token is good without that answer."""

_EXAMPLES = (
    "openrtc token create --room support-call-1 --agent support",
    "openrtc token create --new-room --identity ann --valid-for 30m --token-only",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    add_actions(parser, {"create": Action("make a token", _add_create, _create, _EXAMPLES)})


def _add_create(parser: argparse.ArgumentParser) -> None:
    add_room_options(parser)
    parser.add_argument("--identity", default="", metavar="ID", help="identity of the participant (default: a new one)")
    parser.add_argument("--name", default="", metavar="NAME", help="name that others see")
    parser.add_argument(
        "--agent",
        action="append",
        default=[],
        metavar="AGENT[=METADATA]",
        help="agent that comes into the room when this participant is its first (repeatable)",
    )
    parser.add_argument("--metadata", default="", metavar="TEXT", help="metadata of the participant")
    add_attribute_option(parser, "the participant")
    parser.add_argument("--room-metadata", default="", metavar="TEXT", help="metadata of the room, if it is new")
    parser.add_argument(
        "--valid-for", type=parse_duration, default="1h", metavar="TIME", help="such as 90s, 1h (default), 24h, 7d"
    )
    parser.add_argument(
        "--manage-session",
        action="store_true",
        help="let the participant look into the sessions of agents, and steer them",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--token-only", action="store_true", help="print the token and nothing else")
    how.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--open",
        nargs="?",
        const="",
        metavar="PAGE",
        help="open a page in the browser that joins the room (default: LiveKit's example, on the internet)",
    )
    add_any_option(parser)
    add_server_options(parser)


def _create(args: argparse.Namespace) -> int:
    from openrtc.dispatch.agent_request import AgentRequest
    from openrtc.dispatch.tokens import create_token

    requests = [AgentRequest.parse(text) for text in args.agent]
    named = [request.agent for request in requests]
    connection = read_connection(args, named, needs_url=args.open is not None)
    room = choose_room(args, named[0] if named else "")
    import secrets  # this and asyncio cost time that --help should not pay

    identity = args.identity or f"caller-{secrets.token_hex(3)}"
    token = create_token(
        identity,
        room,
        name=args.name,
        agents=requests,
        metadata=args.metadata,
        attributes=parse_pairs(args.attribute),
        room_metadata=args.room_metadata,
        valid_for=args.valid_for,
        manage_session=args.manage_session,
        connection=connection,
    )
    if requests or args.room_metadata:
        _warn_if_ignored(room, connection)
    _show(args, token, {"room": room, "identity": identity, "url": connection.address}, connection)
    return 0


def _warn_if_ignored(room: str, connection: LiveKitConnection) -> None:
    import asyncio

    from openrtc.cli.output import print_warning
    from openrtc.dispatch.dispatches import room_exists
    from openrtc.errors import OpenRTCError

    async def look() -> bool:
        return await asyncio.wait_for(room_exists(room, connection=connection), LOOK_SECONDS)

    try:
        exists = bool(connection.url) and run_async(look())
    except (OpenRTCError, TimeoutError) as error:
        why = str(error) or "no answer"
        print_warning(f"whether room {room!r} exists is not known ({why}); if it does, this token brings no agent")
        return
    if exists:
        print_warning(
            f"room {room!r} exists already, so LiveKit ignores this token's agents: use openrtc dispatch create"
        )


def _show(args: argparse.Namespace, token: str, about: dict[str, str], connection: LiveKitConnection) -> None:
    from openrtc.cli.output import print_json
    from openrtc.dispatch.tokens import MEET_URL, build_join_url

    address = build_join_url(token, page=args.open or MEET_URL, connection=connection) if args.open is not None else ""
    if args.json:
        print_json(**about, token=token, **({"address": address} if address else {}))
    elif args.token_only:
        print(token)
    else:
        print(f"room:     {about['room']}\nidentity: {about['identity']}\nurl:      {about['url'] or '(not set)'}")
        print(f"token:    {token}")
    if address:
        _open(address, shown=args.json)


def _open(address: str, *, shown: bool) -> None:
    import webbrowser

    if not shown:
        print(f"address:  {address}", file=sys.stderr)
    if not webbrowser.open(address):
        print("openrtc: no browser can be opened here: open that address yourself", file=sys.stderr)
