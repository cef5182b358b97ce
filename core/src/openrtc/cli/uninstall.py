"""`openrtc uninstall`: take packages out of this environment, but nothing that OpenRTC needs."""

from __future__ import annotations

import argparse

from openrtc.cli.installations import add_plan_options, uninstall_packages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("packages", nargs="+", metavar="PACKAGE", help="name of an installed distribution")
    add_plan_options(parser)


def run(args: argparse.Namespace) -> int:
    """Uninstall the packages."""
    return uninstall_packages(args)
