"""Options that say which room and which agents, and how they are read."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from openrtc.cli.setting_options import add_connection_options, read_config
from openrtc.errors import OpenRTCError
from openrtc.settings.config import Config

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import timedelta

    from openrtc.dispatch.connection import LiveKitConnection

T = TypeVar("T")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_room_options(parser: argparse.ArgumentParser) -> None:
    """Add which room."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--room", metavar="ROOM", help="name of the room, which is created if it does not exist")
    which.add_argument("--new-room", action="store_true", help="a new room with a name of its own")


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add how to reach the LiveKit server, and under which name the workers on it are registered."""
    add_connection_options(parser, "worker.agent_name")


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add how the answer is printed, and `add_server_options`."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_server_options(parser)


def add_any_option(parser: argparse.ArgumentParser) -> None:
    """Add that names of agents are not checked."""
    parser.add_argument("--any", action="store_true", help="take names of agents that are not installed here")


def add_agent_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--agent``, as other commands have it, to one that takes the agent as its argument."""
    parser.add_argument("--agent", default="", dest="named_agent", metavar="AGENT", help="the same as AGENT")


def add_metadata_option(parser: argparse.ArgumentParser) -> None:
    """Add the metadata of a job."""
    parser.add_argument("--metadata", default="", metavar="TEXT", help="metadata of the job, for routing and agent")


def add_attribute_option(parser: argparse.ArgumentParser, of: str) -> None:
    """Add attributes of something."""
    parser.add_argument(
        "--attribute", action="append", default=[], metavar="KEY=VALUE", help=f"attribute of {of} (repeatable)"
    )


def parse_pairs(texts: Iterable[str], flag: str = "--attribute") -> dict[str, str]:
    """Return ``KEY=VALUE`` strings as a dictionary.

    Raises:
        OpenRTCError: One has no key or no ``=``.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise OpenRTCError(f"{text!r} is not KEY=VALUE", origin=flag, fix=f"write {flag} key=value")
        found[key] = value
    return found


def run_async(doing: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; asyncio is imported only now, since it would take a third of a command's ``--help``."""
    import asyncio

    return asyncio.run(doing)


def choose_room(args: argparse.Namespace, agent: str) -> str:
    """Return the room that was named, or the name of a new one, which begins with the agent's."""
    import secrets

    return args.room or f"{agent or 'room'}-{secrets.token_hex(4)}"


def read_checked_config(args: argparse.Namespace, agents: Sequence[str]) -> Config:
    """Read the settings; names of agents are checked unless ``--any`` is given.

    Raises:
        OpenRTCError: A setting is wrong, or an agent is not known.
    """
    config = read_config(args)
    names = [name for name in agents if name]
    if names and not args.any:
        from openrtc.dispatch.known_agents import require_known_agents

        in_code = args.pool.list_agents() if args.pool else ()
        require_known_agents(names, config, origin="--agent", in_code=in_code)
    return config


def read_connection(
    args: argparse.Namespace, agents: Sequence[str] = (), *, needs_url: bool = True
) -> LiveKitConnection:
    """Read the settings as `read_checked_config` does, and return which LiveKit server they name."""
    from openrtc.dispatch.local_server import find_connection

    return find_connection(read_checked_config(args, agents).worker, needs_url=needs_url)


def parse_duration(text: str) -> timedelta:
    """Return a time such as ``90s``, ``30m``, ``24h`` or ``7d``, for argparse."""
    from datetime import timedelta

    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text.strip().lower())
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 30m, 24h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_seconds(text: str) -> float:
    """Return a number of seconds, with or without an ``s``, for argparse."""
    try:
        number = float(text.strip().lower().removesuffix("s"))
    except ValueError:
        number = 0.0
    if not 0.0 < number <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 3600")
    return number
