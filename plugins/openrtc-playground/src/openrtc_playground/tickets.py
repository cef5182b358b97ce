"""What a browser is opened with, in place of the key: every user of the machine can read its command line."""

from __future__ import annotations

import hmac
import os
import secrets
import time
from pathlib import Path

from aiohttp import web

TICKET_SECONDS = 60.0
"""How long a ticket is good: browsers take a while to start."""
_SOCKETS = Path("/proc/net/tcp")


class Tickets:
    """Makes tickets, each of which opens the page once, for this user."""

    def __init__(self) -> None:
        self._made: dict[str, float] = {}

    def make(self) -> str:
        """Return a new ticket."""
        ticket = secrets.token_urlsafe(24)
        self._made[ticket] = time.monotonic()
        return ticket

    def take(self, request: web.Request) -> bool:
        """Whether a request has a ticket that is good; it is not any more.

        Args:
            request: The request for ``/open/{ticket}``.
        """
        shown = request.match_info["ticket"].encode("utf-8", "surrogatepass")
        ticket = next((one for one in self._made if hmac.compare_digest(one.encode(), shown)), None)
        peer = request.transport.get_extra_info("peername") if request.transport else None
        if ticket is None or (peer and not _is_of_this_user(peer[1])):
            return False
        return time.monotonic() - self._made.pop(ticket) < TICKET_SECONDS


def _is_of_this_user(port: int) -> bool:
    """Whether a connection from a port of this machine is this user's; so it is where the system does not say whose."""
    try:
        lines = _SOCKETS.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return True
    wanted = f":{port:04X}"
    owners = {int(row[7]) for row in map(str.split, lines) if row[1].endswith(wanted)}
    return not owners or bool(owners & {os.getuid(), 0})
