"""Options that ``openrtc.lk`` passes on from the program ``lk``; no person gives them."""

from __future__ import annotations

import argparse

from openrtc.errors import OpenRTCError


def add_address_option(parser: argparse.ArgumentParser, flag: str) -> None:
    """Add where ``lk`` listens; the value is host and port, or None."""
    parser.add_argument(flag, dest="lk_address", metavar="HOST:PORT", type=_read_address, help=argparse.SUPPRESS)


def _read_address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise OpenRTCError(f"{text!r} is not HOST:PORT", origin="where lk listens")
    return host, int(port)
