"""The command ``openrtc``: finds the command's module and imports that one only."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NoReturn, cast

from openrtc.child_environment import PROCESS_ROLE
from openrtc.cli.commands import ALIASES, COMMANDS, COMMANDS_THAT_MEND, Command, Pool
from openrtc.cli.output import print_warning
from openrtc.cli.own_process import hide_secret, tolerant_output
from openrtc.cli.parsers import build_main_parser, build_parser
from openrtc.cli.setting_options import COMMON_FLAGS, add_common_options
from openrtc.errors import OpenRTCError

GUARD = "openrtc.plugins.guard.scope"
"""Within which packages' code runs; where nobody has imported it, none has run."""


def main(argv: Sequence[str] | None = None, *, pool: Pool | None = None) -> int:
    """Run a command.

    Args:
        argv: Command and options; those of the program by default.
        pool: Agents registered in code, for the commands that run them.

    Returns:
        The exit code: 0, or 1 for a command's negative answer, 2 for a user's mistake, 130 when interrupted.

    Raises:
        OpenRTCError: A package calls this while it is imported.
    """
    if GUARD in sys.modules:
        sys.modules[GUARD].refuse_program("openrtc.cli.main.main()")
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv), pool)
        sys.stdout.flush()
        return code
    except OpenRTCError as error:
        print(f"openrtc: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        if not (error.name or "").startswith(("livekit.agents", "livekit.rtc")):
            raise
        from openrtc.install_commands import install_command
        from openrtc.upstream.known_code import RELEASES

        reason = OpenRTCError(
            f"OpenRTC does not know this livekit-agents: {error}",
            fix=install_command(f"livekit-agents=={RELEASES[-1]}"),
        )
        print(f"openrtc: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # 128 + SIGPIPE, as of a program that the signal ends


def program(argv: Sequence[str] | None = None, *, pool: Pool | None = None) -> NoReturn:
    """Run a command as a program of its own: end the process with the command's exit code."""
    if "_ARGCOMPLETE" in os.environ:
        from openrtc.cli.completions import answer_shell

        answer_shell()
    hide_secret()
    with tolerant_output():
        code = main(argv, pool=pool)
    # The native library calls into Python while Python is torn down, which has aborted the process; and Python would
    # wait for a package's threads, and for what it does at exit.
    if "livekit.rtc" in sys.modules or GUARD in sys.modules or _has_threads_left():
        from openrtc.worker.process_exit import exit_process

        exit_process(code)
    sys.exit(code)


def _has_threads_left() -> bool:
    """Whether a package has started threads that would hold the process open."""
    threading = sys.modules.get("threading")
    threads = threading.enumerate() if threading else ()
    return any(not thread.daemon and thread is not threading.main_thread() for thread in threads if threading)


def _run(argv: list[str], pool: Pool | None) -> int:
    position = _find_command(argv)
    if position is None:
        parser = build_main_parser({} if {"-V", "--version"} & set(argv) else _list_of_packages(argv))
        parser.parse_args(argv)
        parser.print_help()
        return 0
    name = ALIASES.get(argv[position], argv[position])
    if name.startswith("-"):
        return _run([*argv[:position], *argv[position + 1 :], name], pool)
    # PyJWT would warn of it for each token; no LiveKit server takes a wrong one, and that is said.
    warnings.filterwarnings("ignore", message="The HMAC key is")
    if name not in COMMANDS:
        return _run_of_package(name, argv[:position], argv[position + 1 :])
    del argv[position]
    module = cast("Command", import_module(f"openrtc.cli.{name.replace('-', '_')}"))
    args = build_parser(name, module).parse_args(argv)
    args.pool = pool
    if name not in COMMANDS_THAT_MEND:
        from openrtc.discovery.hidden_livekit import show_livekit  # not for --help, which imports little
        from openrtc.discovery.own_requirements import check_own_requirements

        show_livekit()
        check_own_requirements(_ignore if PROCESS_ROLE in os.environ else print_warning)
    code: int = args.run(args)
    return code


def _run_of_package(name: str, before: Sequence[str], after: Sequence[str]) -> int:
    from openrtc.cli.package_commands import run_command

    return run_command(name, _build_common_parser().parse_args(before), after)


def _list_of_packages(argv: Sequence[str]) -> Mapping[str, str]:
    from openrtc.discovery.entries import COMMANDS_GROUP
    from openrtc.discovery.installed import find_installed

    if not any(COMMANDS_GROUP in one.text for one in find_installed().speaking):
        return {}  # and most of what finds them need not be imported
    from openrtc.cli.package_commands import list_commands
    from openrtc.cli.setting_options import read_settings

    try:
        return list_commands(read_settings(_build_common_parser().parse_known_args(argv)[0]))
    except OpenRTCError as error:  # in the settings, and help is asked for
        print_warning(str(error))
        return {}


def _build_common_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="openrtc", allow_abbrev=False, add_help=False)
    add_common_options(parser)
    return parser


def _ignore(_: str) -> None:
    """Say nothing: the supervisor, which has started this process, has said it."""


def _find_command(argv: Sequence[str]) -> int | None:
    """Return the position of the first word that is no option and no option's value."""
    takes_value = False
    for position, word in enumerate(argv):
        if not takes_value and not word.startswith("-"):
            return position
        takes_value = word in COMMON_FLAGS and not takes_value
    return None
