"""`openrtc console`: talk with an agent in the terminal, in text, without a server."""

from __future__ import annotations

import argparse

from openrtc.cli.dispatch_options import add_agent_option, add_metadata_option
from openrtc.cli.lk_options import add_address_option
from openrtc.cli.setting_options import add_session_options, read_config, runtime_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "agent", nargs="?", default="", metavar="AGENT", help="agent that answers; by default the routing decides"
    )
    add_agent_option(parser)
    add_metadata_option(parser)
    add_address_option(parser, "--connect-addr")
    parser.add_argument("--record", action="store_true", help=argparse.SUPPRESS)  # of lk, too
    add_session_options(parser)


def run(args: argparse.Namespace) -> int:
    """Chat until the caller or the agent ends it."""
    config = read_config(args, log_level="info" if args.lk_address else "warning")
    from openrtc.speedups.imports import speed_up_imports

    speed_up_imports(config.worker.speedups)
    if args.lk_address:
        from openrtc.conversation.console.lk_console import talk

        return talk(config, runtime_arguments(args), args.lk_address, record=args.record)
    from openrtc.cli.output import build_console

    out = build_console()
    with out.status("loading the agents"):
        from openrtc.conversation.console.console import chat
    return chat(config, runtime_arguments(args), args.agent or args.named_agent, out, metadata=args.metadata)
