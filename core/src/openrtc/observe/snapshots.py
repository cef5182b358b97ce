"""What each worker does now, and shall do: a worker answers on a socket, and `openrtc top` asks them all.

Who connects says what is ordered, in JSON, and closes their half of the connection; who orders nothing is answered with
the snapshot.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from openrtc.errors import one_line
from openrtc.observe.sockets import (
    bind_private,
    is_stale,
    list_sockets,
    receive_all,
    remove_socket,
    snapshot_path,
    why_not_private,
)
from openrtc.posix import open_unix_socket

logger = logging.getLogger("openrtc.observe")

CLIENT_SECONDS = 2.0
"""How long a client may take to read an answer: meanwhile no other one is served."""

ANSWER_SECONDS = 2.0
"""How long a worker may take to answer, before it counts as one that does not."""


ORDER_SECONDS = 0.2
"""How long a client may take to say what it orders; an `openrtc top` of an earlier release says nothing."""

LARGEST_ORDER = 65536
"""Bytes of an order."""

LARGEST_ANSWER = 64_000_000
"""Bytes of a snapshot: a row of a call has some hundreds, and a worker that is many times too full still answers."""


class SnapshotServer:
    """Writes a JSON snapshot to whoever connects, or the answer to an order, then closes the connection.

    In a thread of its own, so that a worker whose loop is blocked can still be looked at.

    Args:
        path: The socket, in a folder of the user; it gets mode 0600.
        snapshot: Returns what to answer; called in the server's thread.
        carry_out: Carries out an order and returns what to answer; likewise.

    Raises:
        OSError: The socket cannot be created.
    """

    def __init__(
        self,
        path: Path,
        snapshot: Callable[[], dict[str, Any]],
        carry_out: Callable[[dict[str, Any]], dict[str, Any]] = lambda _: {"refused": "it takes no orders"},
    ) -> None:
        self._path = path
        self._snapshot = snapshot
        self._carry_out = carry_out
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
        remove_socket(self._path)

    def _serve(self) -> None:
        while True:
            client, _ = self._socket.accept()
            with client:
                if self._closing:
                    return
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        try:
            order = _read_order(client)
            client.settimeout(CLIENT_SECONDS)
            client.sendall(json.dumps(self._snapshot() if order is None else self._carry_out(order)).encode())
        except OSError as error:
            logger.debug("a client of %s has gone: %s", self._path, error)
        except Exception as error:  # whatever a snapshot raises must not end the thread that answers the next one
            logger.error("openrtc top gets no answer: %s", one_line(f"{type(error).__name__}: {error}"))
            logger.debug("snapshot", exc_info=error)


def send_order(pid: int, order: dict[str, Any]) -> dict[str, Any]:
    """Order something of a worker and return its answer.

    Args:
        pid: Its process id.
        order: As `openrtc.worker.orders.Orders.carry_out` takes it.

    Returns:
        ``done`` or ``refused`` with a line, ``refused`` also where it does not answer.
    """
    path = snapshot_path(pid)
    if not list_sockets(path.name):
        return {"refused": f"it does not answer: {why_not_private() or f'{path} is no socket of this user'}"}
    try:
        answer: dict[str, Any] = json.loads(_receive(path, json.dumps(order).encode()))
    except (OSError, ValueError) as error:
        return {"refused": f"it does not answer: {one_line(str(error)) or type(error).__name__}"}
    # One of an earlier release answers everything with its snapshot.
    return answer if {"done", "refused"} & answer.keys() else {"refused": "it takes no orders"}


def has_others(pid: int) -> bool:
    """Whether there are workers of this user on this machine besides the one with this process id."""
    return bool(_list_sockets(pid))


def read_snapshots(
    without: int | None = None, *, tidy: bool = True, seconds: float = ANSWER_SECONDS
) -> list[dict[str, Any]]:
    """Return each running worker's snapshot, ordered by process id; without an answer, only its pid and state.

    Args:
        without: Process id of a worker that is not asked.
        tidy: Whether sockets that dead workers have left are removed.
        seconds: How long each may take to answer.
    """
    if why := why_not_private():
        logger.warning("%s", why)
    paths = _list_sockets(without)
    if not paths:
        return []
    with ThreadPoolExecutor(max_workers=min(16, len(paths))) as threads:
        return [
            answer for answer in threads.map(partial(_ask, tidy=tidy, seconds=seconds), paths) if answer is not None
        ]


def _list_sockets(without: int | None) -> list[Path]:
    found = (path for path in list_sockets("*.sock") if path.stem != str(without))
    return sorted(found, key=lambda path: (len(path.stem), path.stem))


def _ask(path: Path, tidy: bool, seconds: float) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = json.loads(_receive(path, seconds=seconds))
        return answer
    except (ConnectionRefusedError, FileNotFoundError):
        if tidy and is_stale(path):
            remove_socket(path)
        return None
    except (OSError, ValueError):  # it did not answer in time, or broke off
        pid = int(path.stem) if path.stem.isdigit() else 0
        return {"pid": pid, "state": "does not answer", "calls": []} if _is_running(pid) else None


def _read_order(client: socket.socket) -> dict[str, Any] | None:
    try:
        received = receive_all(client, ORDER_SECONDS, LARGEST_ORDER)
    except TimeoutError:
        return None
    order = json.loads(received) if received else None
    return order if order is None or isinstance(order, dict) else {"order": order}


def _receive(path: Path, order: bytes = b"", seconds: float = ANSWER_SECONDS) -> bytes:
    with open_unix_socket() as client:
        client.settimeout(seconds)
        client.connect(str(path))
        client.sendall(order)
        client.shutdown(socket.SHUT_WR)
        return receive_all(client, seconds, LARGEST_ANSWER)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs, as another user
        return True
    return pid > 0
