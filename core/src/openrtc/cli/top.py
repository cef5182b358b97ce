"""`openrtc top`: what the workers of this machine do, live."""

from __future__ import annotations

import argparse
import sys
import time

NO_WORKER = "no worker of this user runs on this machine: start one with openrtc start or openrtc dev"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--once", action="store_true", help="show the workers once")
    parser.add_argument("--json", action="store_true", help="print JSON, once")
    parser.add_argument(
        "--interval", type=_seconds, default=1.0, metavar="SECONDS", help="time between two looks (default: 1)"
    )


def run(args: argparse.Namespace) -> int:
    """Show the workers; exit 1 when there is none."""
    from openrtc.observe.snapshot_client import snapshots

    workers = snapshots()
    if args.json:
        from openrtc.cli.output import json_output

        with json_output() as write:
            write({"schema_version": 1, "workers": workers})
        return 0 if workers else 1
    if not workers:
        print(f"openrtc: {NO_WORKER}", file=sys.stderr)
        return 1
    if args.once or not sys.stdout.isatty():
        from openrtc.cli.output import console
        from openrtc.cli.top_screen import screen

        out = console()
        out.print(screen(workers, out.width))
        return 0
    return _watch(args.interval)


def _watch(interval: float) -> int:
    from rich.live import Live
    from rich.text import Text

    from openrtc.cli.output import console
    from openrtc.cli.top_screen import screen
    from openrtc.observe.snapshot_client import snapshots

    out = console()
    with Live(console=out, screen=True, auto_refresh=False) as live:
        while True:
            workers = snapshots()
            live.update(screen(workers, out.width, live=True) if workers else Text(NO_WORKER), refresh=True)
            time.sleep(interval)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.2 <= seconds <= 3600:
        raise argparse.ArgumentTypeError("from 0.2 to 3600 seconds")
    return seconds
