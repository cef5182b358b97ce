"""The command ``openrtc``: finds the command's module and imports that one only."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from openrtc.cli.common_options import COMMON_OPTIONS, add_common_options
from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from openrtc.pool import AgentPool

COMMANDS = {
    "list-agents": "list the installed agents",
    "plugins": "list the installed plugins: routers, resources, providers, observers",
    "route": "explain which agent would answer a call",
    "demo": "talk to the installed agents: no server, key or account needed",
    "console": "chat with an agent in the terminal",
    "dev": "run a worker while developing: debug logs, local server",
    "start": "run a worker",
    "top": "watch the workers of this machine and their calls",
    "call": "place a test call to an agent on a LiveKit server",
    "dispatch": "send agents to rooms: create, list, get, delete",
    "token": "make a token for a participant, who may bring agents",
    "sip": "let agents answer the telephone: rule create, list, delete",
    "connect": "join one room directly",
    "download-files": "download the models that the installed plugins need",
}
EPILOG = "openrtc COMMAND --help explains a command."


def main(argv: Sequence[str] | None = None, *, pool: AgentPool | None = None) -> int:
    """Run a command.

    Args:
        argv: Command and options; those of the program by default.
        pool: Agents registered in code, for the commands that run them.

    Returns:
        The exit code: 0, or 1 for a command's negative answer, 2 for a user's mistake, 130 when interrupted.
    """
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv), pool)
        sys.stdout.flush()
        return code
    except OpenRTCError as error:
        print(f"openrtc: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def program(argv: Sequence[str] | None = None, *, pool: AgentPool | None = None) -> NoReturn:
    """Run a command as a program of its own: end the process with the command's exit code."""
    code = main(argv, pool=pool)
    if "livekit.rtc" in sys.modules or _threads_left():
        from openrtc.worker.leave import leave

        leave(code)
    sys.exit(code)


def _threads_left() -> bool:
    """Whether a package has started threads that would hold the process open."""
    threading = sys.modules.get("threading")
    threads = threading.enumerate() if threading else ()
    return any(not thread.daemon and thread is not threading.main_thread() for thread in threads if threading)


def _run(argv: list[str], pool: AgentPool | None) -> int:
    position = _command_in(argv)
    if position is None:
        parser = _parser_of_all()
        parser.parse_args(argv)
        parser.print_help()
        return 0
    name = argv.pop(position)
    if name not in COMMANDS:
        raise OpenRTCError(f'there is no command "{name}"', fix=_instead_of(name))
    module = import_module(f"openrtc.cli.{name.replace('-', '_')}")
    args = _parser_of(name, module).parse_args(argv)
    args.pool = pool
    run = args.action if "action" in args else module.run
    code: int = run(args)
    return code


def _command_in(argv: Sequence[str]) -> int | None:
    """Return the position of the first word that is no option and no option's value."""
    takes_value = False
    for position, word in enumerate(argv):
        if not takes_value and not word.startswith("-"):
            return position
        takes_value = word in COMMON_OPTIONS and not takes_value
    return None


def _instead_of(name: str) -> str:
    from openrtc.suggest import did_you_mean

    return did_you_mean(name, COMMANDS, f"there are {', '.join(COMMANDS)}")


def _parser_of(name: str, module: Any) -> argparse.ArgumentParser:
    """Return the parser of one command; the common options may stand before the command too."""
    description = f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}."
    parser = argparse.ArgumentParser(prog=f"openrtc {name}", description=description, allow_abbrev=False)
    parser.add_argument("--version", action=_Version, nargs=0, help=argparse.SUPPRESS)
    module.add_arguments(parser)
    add_common_options(parser.add_argument_group("packages"))
    return parser


def _parser_of_all() -> argparse.ArgumentParser:
    """Return the parser for ``openrtc`` without a command."""
    parser = argparse.ArgumentParser(
        prog="openrtc",
        description="Run many LiveKit voice agents, each a pip package, in one shared worker process.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the versions and exit")
    add_common_options(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary)
    return parser


class _Version(argparse.Action):
    """Prints the versions from metadata, importing neither the worker nor livekit."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib_metadata import PackageNotFoundError, version

        for name in ("openrtc-core", "livekit-agents"):
            try:
                print(name, version(name))
            except PackageNotFoundError:
                print(name, "(not installed)")
        parser.exit()
