"""`openrtc resume`: an agent that was paused takes new calls again."""

from __future__ import annotations

import argparse

from openrtc.cli.operate import add_worker_option, give_order, list_workers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("agent", metavar="AGENT", help="name of the agent")
    add_worker_option(parser, "every one that has this agent")


def run(args: argparse.Namespace) -> int:
    """Resume the agent; exit 1 where no worker has it."""
    return give_order(list_workers(args.worker), order="resume", agent=args.agent)
