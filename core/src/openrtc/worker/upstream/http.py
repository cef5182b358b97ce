"""Every private name of livekit-agents' HTTP sessions that OpenRTC uses, and nothing else.

Plugins make their requests with `http_session()`: an `aiohttp.ClientSession` for each job, with connections of its own,
so that each call begins with a TLS handshake with each provider. Here the sessions stay, and share the connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
from livekit.agents import get_job_context
from livekit.agents.utils import http_context

from openrtc.worker.speed.call_connector import CallConnector
from openrtc.worker.speed.digest import changed

_KNOWN = {
    "http_context._new_session_ctx": (http_context._new_session_ctx, ("7070fb0a0d1c64b6",)),
    "http_context._close_http_ctx": (http_context._close_http_ctx, ("920d195fafb52a5f",)),
}

KEEP_SECONDS = 120.0
"""How long a connection that nobody uses is kept, as in livekit-agents."""

_new_session_as_upstream = http_context._new_session_ctx

_shared: tuple[asyncio.AbstractEventLoop, aiohttp.TCPConnector] | None = None


def why_connections_not_shared() -> str | None:
    """Return None when livekit-agents' sessions are those that `share_connections` replaces, else what differs."""
    return ", ".join(changed(_KNOWN)) or None


def share_connections() -> None:
    """From now on, let the sessions of jobs in the loop of `open_connections` share its connections."""
    http_context._new_session_ctx = _new_session_ctx


def connections_as_upstream() -> None:
    """Undo `share_connections`."""
    http_context._new_session_ctx = _new_session_as_upstream


def open_connections() -> None:
    """Make the running loop the one whose jobs share connections."""
    global _shared
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_SECONDS, ssl=http_context._create_ssl_context())
    _shared = (asyncio.get_running_loop(), connector)


async def close_connections() -> None:
    """Close the shared connections."""
    global _shared
    shared, _shared = _shared, None
    if shared is not None:
        await shared[1].close()


def _new_session_ctx() -> Callable[[], aiohttp.ClientSession]:
    """Bind a factory of this job's session to the context, as livekit-agents does."""
    if _shared is None or _shared[0] is not asyncio.get_running_loop():
        return _new_session_as_upstream()
    connector = _shared[1]
    session: aiohttp.ClientSession | None = None

    def new_session() -> aiohttp.ClientSession:
        nonlocal session
        if session is None or session.closed:
            session = aiohttp.ClientSession(proxy=_proxy(), connector=CallConnector(connector))
        return session

    http_context._ContextVar.set(new_session)
    return new_session


def _proxy() -> str | None:
    try:
        return get_job_context().proc.http_proxy
    except RuntimeError:
        return None
