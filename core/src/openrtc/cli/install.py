"""`openrtc install`: install packages into this environment, and say what changes."""

from __future__ import annotations

import argparse

from openrtc.cli.installations import add_install_arguments, install_packages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_install_arguments(parser)
    parser.add_argument("-U", "--upgrade", action="store_true", help="take the newest version also of what is there")


def run(args: argparse.Namespace) -> int:
    """Install the packages; exit 1 when something of them cannot be used."""
    return install_packages(args, upgrade=args.upgrade)
