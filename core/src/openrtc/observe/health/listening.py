"""Where the health server listens, and for which hosts it answers there."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket

from openrtc.errors import OpenRTCError

BACKLOG = 128
"""Connections that the system keeps until they are accepted."""
NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Of an address that this machine does not have: ``localhost`` often stands for one of IPv6, too."""

_AUTHORITY = re.compile(r"(\[[^\]]+\]|[^:\[\]]+)(:\d{0,5})?")


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Return a socket that listens for each address of a host, all on one port.

    Args:
        host: An address or a name; empty for every address of the machine.
        port: 0 for a free one.

    Raises:
        OpenRTCError: The port is taken, or the host is not this machine.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _build_error(host, port, f"{reason}", "--host") from error
    listeners: list[socket.socket] = []
    problem: OSError | None = None
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
        own = (address[0], port or (listeners[0].getsockname()[1] if listeners else 0), *address[2:])
        try:
            listeners.append(_listen(family, own))
        except OSError as error:
            problem = error
            if error.errno not in NOT_HERE:
                break
    if problem is not None and (not listeners or problem.errno not in NOT_HERE):
        for listener in listeners:
            listener.close()
        option = "--host" if problem.errno in NOT_HERE else "--port"
        raise _build_error(host, port, os.strerror(problem.errno or 0), option) from problem
    return listeners


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine reaches a socket that listens."""
    return ipaddress.ip_address(str(listener.getsockname()[0]).partition("%")[0]).is_loopback


def names_loopback(authority: str) -> bool:
    """Whether a host with or without a port, as in ``Host: localhost:8081``, can only be this machine.

    Any other name may be one that a page of the web lets point to 127.0.0.1, to read what is answered there.
    """
    matched = _AUTHORITY.fullmatch(authority)
    if matched is None:
        return False
    host = matched[1].lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def describe_address(host: str, port: int) -> str:
    """Return an address as it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host or '*'}:{port}"


def _listen(family: int, address: tuple[str | int, ...]) -> socket.socket:
    try:
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
    except OverflowError as error:
        raise OSError(errno.EINVAL, str(error)) from error  # further workers of a supervisor: a port beyond the last
    listener.setblocking(False)
    return listener


def _build_error(host: str, port: int, reason: str, option: str) -> OpenRTCError:
    where = describe_address(host, port)
    return OpenRTCError(f"the health server cannot listen on {where}: {reason}", fix=f"choose another {option}")
