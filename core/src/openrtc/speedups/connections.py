"""Speedup `connections`: the HTTP connections of a call to its providers stay open for the next calls.

Plugins make their requests with `http_session()`: an `aiohttp.ClientSession` for each job, with connections of its own,
so that each call begins with a TLS handshake with each provider. Here each job still has a session of its own, with its
own cookies, but their connections come from one pool.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
from livekit.agents import get_job_context
from livekit.agents.utils import http_context

if TYPE_CHECKING:
    from aiohttp.connector import Connection

KEEP_SECONDS = 120.0
"""How long a connection that nobody uses is kept, as in livekit-agents."""

# Not `http_context`'s own from here on: `openrtc.worker` imports this module where that is gone, too.
_new_upstream_session_ctx: Callable[[], Callable[[], aiohttp.ClientSession]] | None = None
"""What `install` has replaced; None where it has not."""

# One loop's, since a connection belongs to the loop that has opened it: jobs in threads have loops of their own.
_shared: tuple[asyncio.AbstractEventLoop, aiohttp.TCPConnector] | None = None


def install() -> None:
    """From now on, let the sessions of jobs in the loop of `open_connections` share its connections."""
    global _new_upstream_session_ctx
    if _new_upstream_session_ctx is None:
        _new_upstream_session_ctx = http_context._new_session_ctx
    http_context._new_session_ctx = _new_session_ctx


def uninstall() -> None:
    """Undo `install`."""
    global _new_upstream_session_ctx
    if _new_upstream_session_ctx is not None:
        http_context._new_session_ctx, _new_upstream_session_ctx = _new_upstream_session_ctx, None


def open_connections() -> None:
    """Make the running loop the one whose jobs share connections, where the speedup is installed."""
    global _shared
    if _new_upstream_session_ctx is None:
        return
    # No limit: livekit-agents allows 50 to each host for each job, so that any limit here would be a new one.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_SECONDS, ssl=http_context._create_ssl_context())
    _shared = (asyncio.get_running_loop(), connector)


async def close_connections() -> None:
    """Close the shared connections."""
    global _shared
    shared, _shared = _shared, None
    if shared is not None:
        await shared[1].close()


class CallConnector(aiohttp.BaseConnector):
    """Takes connections from a shared connector; when it is closed, those that the call still uses are.

    What a call has given back, and only that, is kept for others: a WebSocket or an answer that was not read to its
    end never outlives its call.

    Args:
        shared: The pool; it is not closed with this one.
    """

    def __init__(self, shared: aiohttp.BaseConnector) -> None:
        super().__init__()
        self.allowed_protocol_schema_set = shared.allowed_protocol_schema_set
        self._shared = shared
        self._in_use: weakref.WeakSet[Connection] = weakref.WeakSet()

    async def connect(self, *args: Any, **options: Any) -> Connection:
        """Return a connection, as the shared connector does.

        Raises:
            aiohttp.ClientConnectionError: The call is over.
        """
        connection = await self._shared.connect(*args, **options)
        if self.closed:  # meanwhile: nobody would close it any more
            connection.close()
            raise aiohttp.ClientConnectionError("Connector is closed.")
        self._in_use.add(connection)
        connection.add_callback(lambda: self._in_use.discard(connection))
        return connection

    def close(self, **options: Any) -> Awaitable[None]:
        """Close the connections that are in use; returns what waits until they are."""
        for connection in list(self._in_use):
            connection.close()
        return super().close(**options)


def _new_session_ctx() -> Callable[[], aiohttp.ClientSession]:
    """Bind a factory of this job's session to the context, as livekit-agents does."""
    assert _new_upstream_session_ctx is not None, "this stands in its place"
    if _shared is None or _shared[0] is not asyncio.get_running_loop():
        return _new_upstream_session_ctx()
    connector = _shared[1]
    session: aiohttp.ClientSession | None = None

    def new_session() -> aiohttp.ClientSession:
        nonlocal session
        if session is None or session.closed:
            session = aiohttp.ClientSession(proxy=_find_proxy(), connector=CallConnector(connector))
        return session

    http_context._ContextVar.set(new_session)
    return new_session


def _find_proxy() -> str | None:
    try:
        return get_job_context().proc.http_proxy
    except RuntimeError:  # not in a job
        return None
