"""What each worker does now: a worker answers on a socket, and `openrtc top` asks them all."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from openrtc.errors import one_line
from openrtc.observe.sockets import bind_private, is_stale, socket_folder
from openrtc.posix import open_unix_socket

logger = logging.getLogger("openrtc.observe")

CLIENT_SECONDS = 2.0
"""How long a client may take to read an answer: meanwhile no other one is served."""

ANSWER_SECONDS = 2.0
"""How long a worker may take to answer, before it counts as one that does not."""


class SnapshotServer:
    """Writes a JSON snapshot to whoever connects, then closes the connection.

    In a thread of its own, so that a worker whose loop is blocked can still be looked at.

    Args:
        path: The socket, in a folder of the user; it gets mode 0600.
        snapshot: Returns what to answer; called in the server's thread.

    Raises:
        OSError: The socket cannot be created.
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
        # A connection of our own wakes the thread, which would wait in accept() for ever.
        with open_unix_socket() as last:
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
        except Exception as error:  # whatever a snapshot raises must not end the thread that answers the next one
            logger.error("openrtc top gets no answer: %s", one_line(f"{type(error).__name__}: {error}"))
            logger.debug("snapshot", exc_info=error)


def has_others(pid: int) -> bool:
    """Whether there are workers of this user on this machine besides the one with this process id."""
    return bool(_list_sockets(pid))


def read_snapshots(without: int | None = None) -> list[dict[str, Any]]:
    """Return each running worker's snapshot, ordered by process id; without an answer, only its pid and state.

    Sockets that dead workers have left are removed.

    Args:
        without: Process id of a worker that is not asked.
    """
    paths = _list_sockets(without)
    if not paths:
        return []
    with ThreadPoolExecutor(max_workers=min(16, len(paths))) as threads:
        return [answer for answer in threads.map(_ask, paths) if answer is not None]


def _list_sockets(without: int | None) -> list[Path]:
    found = (path for path in socket_folder().glob("*.sock") if path.stem != str(without))
    return sorted(found, key=lambda path: (len(path.stem), path.stem))


def _ask(path: Path) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = json.loads(_receive(path))
        return answer
    except (ConnectionRefusedError, FileNotFoundError):
        if is_stale(path):
            path.unlink(missing_ok=True)
        return None
    except (OSError, ValueError):  # it did not answer in time, or broke off
        pid = int(path.stem) if path.stem.isdigit() else 0
        return {"pid": pid, "state": "does not answer", "calls": []} if _is_running(pid) else None


def _receive(path: Path) -> bytes:
    with open_unix_socket() as client:
        client.settimeout(ANSWER_SECONDS)
        client.connect(str(path))
        parts = []
        while part := client.recv(65536):
            parts.append(part)
        return b"".join(parts)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs, as another user
        return True
    return pid > 0
