"""Builds the parser of a command, and that of ``openrtc`` without one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from openrtc.cli.commands import COMMANDS, EXAMPLES, Command
from openrtc.cli.help import Formatter, list_summaries, show_examples
from openrtc.cli.setting_options import add_common_options


def build_parser(name: str, module: Command) -> argparse.ArgumentParser:
    """Build the parser of one command; the common options may stand before the command too."""
    description = f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}."
    parser = argparse.ArgumentParser(
        prog=f"openrtc {name}",
        description=description,
        epilog=show_examples(EXAMPLES.get(name, ())),
        allow_abbrev=False,
        formatter_class=Formatter,
    )
    parser.add_argument("-V", "--version", action=PrintVersions, nargs=0, help=argparse.SUPPRESS)
    parser.set_defaults(run=getattr(module, "run", None))  # a command that has actions has no run of its own
    module.add_arguments(parser)
    add_common_options(parser)
    return parser


def build_main_parser(of_packages: Mapping[str, str]) -> argparse.ArgumentParser:
    """Build the parser for ``openrtc`` without a command.

    Args:
        of_packages: The summary of each command that a package brings.
    """
    parser = argparse.ArgumentParser(
        prog="openrtc",
        usage="openrtc [OPTIONS] COMMAND ...",
        description="Run many LiveKit voice agents, each a pip package, in one shared worker process.",
        epilog=f"{list_summaries({**COMMANDS, **of_packages})}\n\n"
        "openrtc COMMAND --help explains a command, with examples.",
        allow_abbrev=False,
        formatter_class=Formatter,
    )
    parser.add_argument("-V", "--version", action=PrintVersions, nargs=0, help="show the versions and exit")
    add_common_options(parser)
    # A parser of each command would take longer than all the rest of this help.
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    return parser


class PrintVersions(argparse.Action):
    """Prints the versions from metadata, importing neither the worker nor livekit."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib_metadata import PackageNotFoundError, version

        for name in ("openrtc-core", "livekit-agents"):
            try:
                print(name, version(name))
            except PackageNotFoundError:
                print(name, "(not installed)")
        parser.exit()
