"""Options that say which room and which agents, and how they are read."""

from __future__ import annotations

import argparse
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from openrtc.cli.worker_options import add_connection_options, read_config
from openrtc.config import Config
from openrtc.errors import OpenRTCError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_room_options(parser: argparse.ArgumentParser) -> None:
    """Add which room."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--room", metavar="ROOM", help="name of the room, which is made when it does not exist")
    which.add_argument("--new-room", action="store_true", help="a new room with a name of its own")


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add how to reach the LiveKit server, and the workers on it."""
    add_connection_options(parser)
    add_worker_name(parser)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add how the answer is printed, and `add_server_options`."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_options(parser)


def add_worker_name(parser: argparse.ArgumentParser) -> None:
    """Add under which name the worker is registered."""
    parser.add_argument(
        "--agent-name",
        metavar="NAME",
        help="name under which the worker is registered, as it was started with (LIVEKIT_AGENT_NAME)",
    )


def add_any(parser: argparse.ArgumentParser) -> None:
    """Add that names of agents are not checked."""
    parser.add_argument("--any", action="store_true", help="take names of agents that are not installed here")


def add_attribute(parser: argparse.ArgumentParser, of: str) -> None:
    """Add attributes of something."""
    parser.add_argument(
        "--attribute", action="append", default=[], metavar="KEY=VALUE", help=f"attribute of {of} (repeatable)"
    )


def pairs(texts: Iterable[str], flag: str = "--attribute") -> dict[str, str]:
    """Return ``KEY=VALUE`` texts as a dictionary.

    Raises:
        OpenRTCError: One has no ``=``.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise OpenRTCError(f"{text!r} is not KEY=VALUE", origin=flag, fix=f"write {flag} key=value")
        found[key] = value
    return found


def chosen_room(args: argparse.Namespace, agent: str) -> str:
    """Return the room that was named, or the name of a new one, which begins with the agent's."""
    return args.room or f"{agent or 'room'}-{secrets.token_hex(4)}"


def checked_config(args: argparse.Namespace, agents: Sequence[str]) -> Config:
    """Read the settings; names of agents are checked unless ``--any`` is given.

    Raises:
        OpenRTCError: A setting is wrong, or an agent is not known.
    """
    config = read_config(args)
    names = [name for name in agents if name]
    if names and not args.any:
        from openrtc.dispatch.known_agents import require_known_agents

        in_code: Any = args.pool.list_agents() if args.pool else ()
        require_known_agents(names, config, origin="--agent", in_code=in_code)
    return config


def duration(text: str) -> timedelta:
    """Return a time such as ``90s``, ``30m``, ``24h`` or ``7d``, for argparse."""
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text.strip().lower())
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 30m, 24h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def seconds(text: str) -> float:
    """Return a number of seconds, with or without an ``s``, for argparse."""
    try:
        number = float(text.strip().lower().removesuffix("s"))
    except ValueError:
        number = 0.0
    if not 0.0 < number <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 3600")
    return number
