"""`openrtc top`: what the workers of this machine do, live."""

from __future__ import annotations

import argparse
import sys
import time

from openrtc.errors import OpenRTCError
from openrtc.posix import NO_UNIX_SOCKETS, has_unix_sockets

NO_WORKER = "no worker of this user runs on this machine: start one with openrtc start or openrtc dev"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--once", action="store_true", help="show the workers once")
    parser.add_argument("--json", action="store_true", help="print JSON, once")
    parser.add_argument(
        "--interval", type=_parse_interval, default=1.0, metavar="SECONDS", help="time between two looks (default: 1)"
    )


def run(args: argparse.Namespace) -> int:
    """Show the workers; exit 1 when there is none."""
    from openrtc.observe.snapshots import read_snapshots

    require_sockets()
    workers = read_snapshots()
    if args.json:
        from openrtc.cli.output import print_json

        print_json(workers=workers)
        return 0 if workers else 1
    if not workers:
        print(f"openrtc: {NO_WORKER}", file=sys.stderr)
        return 1
    if args.once or not sys.stdout.isatty():
        from openrtc.cli.output import build_console
        from openrtc.cli.top_screen import build_screen

        out = build_console()
        out.print(build_screen(workers, out.width))
        return 0
    return _show_live(args.interval)


def require_sockets() -> None:
    """Raise where workers have no sockets.

    Raises:
        OpenRTCError: They have none here.
    """
    if not has_unix_sockets():
        fix = "start the workers with --port, and read their /metrics"
        raise OpenRTCError(f"workers cannot be asked here: {NO_UNIX_SOCKETS}", fix=fix)


def _show_live(interval: float) -> int:
    from rich.live import Live
    from rich.text import Text

    from openrtc.cli.output import build_console
    from openrtc.cli.top_screen import build_screen
    from openrtc.observe.snapshots import read_snapshots

    out = build_console()
    with Live(console=out, screen=True, auto_refresh=False) as live:
        while True:
            workers = read_snapshots()
            live.update(build_screen(workers, out.width, live=True) if workers else Text(NO_WORKER), refresh=True)
            time.sleep(interval)


def _parse_interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.2 <= seconds <= 3600:  # more often than five times a second nobody can read it
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.2 to 3600")
    return seconds
