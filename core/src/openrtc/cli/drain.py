"""`openrtc drain`: a worker takes no new calls, and ends when its live ones have, as at SIGTERM."""

from __future__ import annotations

import argparse

from openrtc.cli.operate import ALL, add_worker_option, give_order, list_workers, name_workers
from openrtc.errors import OpenRTCError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_worker_option(parser, f'the only one; "{ALL}" for all, with their supervisor, which else starts another')


def run(args: argparse.Namespace) -> int:
    """Let it drain; exit 1 where it cannot."""
    workers = list_workers(args.worker)
    if args.worker is None and len(workers) > 1:
        fix = f"--worker with one of {name_workers(workers)}, or --worker {ALL}"
        raise OpenRTCError(f"{len(workers)} workers run on this machine", fix=fix)
    return give_order(workers, order="drain" if isinstance(args.worker, int) else "drain-all")
