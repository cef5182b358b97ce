"""`openrtc pause`: an agent takes no new calls, without a restart of its worker."""

from __future__ import annotations

import argparse

from openrtc.cli.operate import add_worker_option, give_order, list_workers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("agent", metavar="AGENT", help="name of the agent; its live calls go on")
    add_worker_option(parser, "every one that has this agent")


def run(args: argparse.Namespace) -> int:
    """Pause the agent; exit 1 where no worker has it."""
    return give_order(list_workers(args.worker), order="pause", agent=args.agent)
