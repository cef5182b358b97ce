"""`CallConnector`: the HTTP connections of one call, out of a pool that outlives it."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from aiohttp.connector import Connection


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
        if self.closed:
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
