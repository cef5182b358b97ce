"""`NurseryLink`: the supervisor's side of a nursery."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from openrtc.supervisor.part import NURSERY, Part

THREADS_OFF = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy's library would start a thread for each core at import."""


class NurseryLink:
    """A nursery as its supervisor sees it.

    Args:
        process: Its process.
        connection: The socket to it.
        told: Called with this link and each message of the nursery.
        lost: Called with this link when the nursery has ended.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        connection: socket.socket,
        told: Callable[[NurseryLink, dict[str, Any]], None],
        lost: Callable[[NurseryLink], None],
    ) -> None:
        self._process = process
        self._connection = connection
        self._told = told
        self._lost = lost
        self._unread = b""
        self._ready: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        connection.setblocking(False)
        asyncio.get_running_loop().add_reader(connection, self._read)

    @classmethod
    def open(
        cls,
        command: Sequence[str],
        environ: Mapping[str, str],
        told: Callable[[NurseryLink, dict[str, Any]], None],
        lost: Callable[[NurseryLink], None],
    ) -> Self:
        """Start a nursery.

        Args:
            command: The command line; the process learns its part from the environment.
            environ: The environment.
            told: As above.
            lost: As above.
        """
        ours, theirs = socket.socketpair()
        variables = Part(NURSERY, theirs.fileno()).put_into({**THREADS_OFF, **environ})
        process = subprocess.Popen(
            command, env=variables, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )
        theirs.close()
        return cls(process, ours, told, lost)

    @property
    def exit_code(self) -> int:
        """The exit code of a nursery that has ended; 1 when a signal ended it."""
        code = self._process.wait()
        return code if code >= 0 else 1

    async def ready(self) -> dict[str, Any] | None:
        """Return what the nursery says when it can start workers, or None when it has ended instead."""
        return await asyncio.shield(self._ready)

    def order(self, do: str, number: int = -1) -> None:
        """Let the nursery do something; one that is gone does nothing."""
        with contextlib.suppress(OSError):
            self._connection.send(json.dumps({"do": do, "number": number}).encode() + b"\n")

    def close(self) -> None:
        """Let the nursery end as soon as its workers have."""
        self.order("close")

    def end(self) -> None:
        """End the nursery and its workers now, and wait for that."""
        asyncio.get_running_loop().remove_reader(self._connection)
        self._connection.close()
        if not self._ready.done():
            self._process.kill()  # it still loads, and hears nothing
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def _read(self) -> None:
        try:
            received = self._connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._ended()
            return
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message["event"] == "ready" and not self._ready.done():
                self._ready.set_result(message)
            else:
                self._told(self, message)

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._connection)
        if not self._ready.done():
            self._ready.set_result(None)
        self._lost(self)
