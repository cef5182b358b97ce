"""Ends connections to the LiveKit server that are dead, so that a call outlives a change of this machine's address.

A room keeps a WebSocket to the server. When this machine gets another address, nothing comes over it any more; livekit
notices that after 15 s and wants another one, but first waits for the end of the old one. The system gives up sending
on that after about 15 minutes, so that the call is lost: the server forgets the participant after 20 s. Told to give up
after `SILENT_SECONDS`, the room is connected anew in time, whatever its addresses were gathered by
(`openrtc.session.room_sockets`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from urllib.parse import urlsplit

from livekit import rtc

from openrtc.posix import can_limit_silence, limit_silence, list_tcp_sockets

logger = logging.getLogger("openrtc.worker")

SILENT_SECONDS = 9.0
"""How long what was sent may stay unacknowledged: with the 5 s between two messages, early enough before the server
forgets the participant. A link that is away for less changes nothing."""

PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}


def end_dead_connections(room: rtc.Room, url: str) -> None:
    """Let the connections of a room to the server end when they are dead, now and after each reconnect.

    Args:
        room: A room that is connected.
        url: Address of the LiveKit server.
    """
    if not can_limit_silence():
        return

    def limit() -> None:
        task = asyncio.ensure_future(asyncio.to_thread(limit_silence_of_server, url))
        _limiting.add(task)
        task.add_done_callback(_limiting.discard)

    room.on("reconnected", limit)
    limit()


# The loop holds tasks weakly.
_limiting: set[asyncio.Future[None]] = set()


def limit_silence_of_server(url: str, seconds: float = SILENT_SECONDS) -> None:
    """Let all of this process's connections to a server end when it has acknowledged nothing for so long.

    Args:
        url: Address of the server.
        seconds: How long what was sent may stay unacknowledged.
    """
    parts = urlsplit(url)
    port = parts.port or PORTS.get(parts.scheme, 443)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        logger.debug("the address of the LiveKit server is not known: %s", error)
        return
    addresses = {str(address[0]) for *_, address in found}
    for connection in list_tcp_sockets():
        with contextlib.suppress(OSError):  # it is not connected
            host, its_port, *_ = connection.getpeername()
            if its_port == port and host.removeprefix("::ffff:") in addresses:
                limit_silence(connection, seconds)
