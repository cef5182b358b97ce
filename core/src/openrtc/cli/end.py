"""`openrtc end`: ends one call, and hangs up on who is in it."""

from __future__ import annotations

import argparse

from openrtc.cli.operate import give_order, list_workers
from openrtc.errors import OpenRTCError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("call", metavar="CALL", help="id of the call's job (AJ_…), or its room where that has one call")


def run(args: argparse.Namespace) -> int:
    """End the call; exit 1 where it is over already."""
    found = [
        (worker, call["job_id"])
        for worker in list_workers()
        for call in worker["calls"]
        if args.call in (call["job_id"], call["room"])
    ]
    if not found:
        raise OpenRTCError(f"there is no call {args.call!r}", fix="openrtc top shows the calls of all workers")
    if len(found) > 1:
        jobs = ", ".join(job_id for _, job_id in found)
        raise OpenRTCError(f"room {args.call!r} has {len(found)} calls", fix=f"choose one: {jobs}")
    ((worker, job_id),) = found
    return give_order([worker], order="end", job_id=job_id)
