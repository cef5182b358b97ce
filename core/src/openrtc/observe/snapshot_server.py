"""`SnapshotServer`: answers on a socket of the user with what a worker does now."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openrtc.errors import one_line

logger = logging.getLogger("openrtc.observe")

CLIENT_SECONDS = 2.0
"""How long a client may take to read an answer."""


class SnapshotServer:
    """Writes a JSON snapshot to whoever connects, then closes the connection.

    It has a thread of its own: also a worker whose loop is blocked can be looked at.

    Args:
        path: The socket, in a folder of the user; it gets mode 0600.
        snapshot: Returns what to answer; called in the server's thread.

    Raises:
        OSError: The socket cannot be made.
    """

    def __init__(self, path: Path, snapshot: Callable[[], dict[str, Any]]) -> None:
        self._path = path
        self._snapshot = snapshot
        self._closing = False
        self._socket = bind_private(path, socket.SOCK_STREAM)
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True, name="snapshots")
        self._thread.start()

    def close(self) -> None:
        """Stop answering and remove the socket."""
        self._closing = True
        with socket.socket(socket.AF_UNIX) as last:
            last.settimeout(CLIENT_SECONDS)
            try:
                last.connect(str(self._path))
            except OSError as error:
                logger.debug("nobody can connect to %s any more: %s", self._path, error)
        self._thread.join(CLIENT_SECONDS)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            client, _ = self._socket.accept()
            with client:
                if self._closing:
                    return
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        client.settimeout(CLIENT_SECONDS)
        try:
            client.sendall(json.dumps(self._snapshot()).encode())
        except OSError as error:
            logger.debug("a client of %s has gone: %s", self._path, error)
        except Exception as error:
            logger.error("openrtc top gets no answer: %s", one_line(f"{type(error).__name__}: {error}"))
            logger.debug("snapshot", exc_info=error)


def bind_private(path: Path, kind: int) -> socket.socket:
    """Return a socket that is bound to ``path`` and that only this user may connect to.

    Args:
        path: Where; what a former process of the same id has left there is replaced.
        kind: ``socket.SOCK_STREAM`` or ``socket.SOCK_DGRAM``.

    Raises:
        OSError: It cannot be bound.
    """
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, kind)
    try:
        bound.bind(str(path))
        os.chmod(path, 0o600)
    except OSError:
        bound.close()
        raise
    return bound
