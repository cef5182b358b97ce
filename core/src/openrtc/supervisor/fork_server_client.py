"""`ForkServerClient`: the supervisor's side of a fork server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from openrtc.child_environment import THREADS_OFF
from openrtc.posix import kill_group, name_signal
from openrtc.supervisor.fork_server import FAILED
from openrtc.supervisor.hang_watch import RUNS, HangWatch
from openrtc.supervisor.process_role import FORK_SERVER, Doors, ProcessRole, repeat_command

STOP_SECONDS = 5.0
"""How long a fork server has to kill its workers and end, before it is killed itself."""


class ForkServerClient:
    """Starts a fork server, and talks to it from the running loop.

    Args:
        environ: The environment of its process, which is this command line started again.
        on_message: Called with this client and each message of the fork server.
        on_exit: Called with this client when the fork server has ended.
        doors: The workers' health ports.
        trial: Whether the workers of another one run on until it is seen whether this one can start any.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        on_message: Callable[[ForkServerClient, dict[str, Any]], None],
        on_exit: Callable[[ForkServerClient], None],
        doors: Doors = (),
        *,
        trial: bool = False,
    ) -> None:
        self._on_message = on_message
        self._on_exit = on_exit
        self._unread = b""
        self._ready: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        self._connection, theirs = socket.socketpair()
        self.why = ""
        """Why it cannot start any worker, if it has said so."""
        role = ProcessRole(FORK_SERVER, theirs.fileno(), doors=doors, trial=trial)
        # A session of its own: Ctrl-C in a terminal must reach the supervisor alone, which then drains the workers.
        self._process = subprocess.Popen(
            repeat_command(),
            env=role.put_into({**THREADS_OFF, **environ}),
            pass_fds=role.descriptors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self.watch = HangWatch(lambda: self._process.send_signal(signal.SIGURG), lambda: kill_group(self._process))
        self._connection.setblocking(False)
        asyncio.get_running_loop().add_reader(self._connection, self._read)

    @property
    def exit_code(self) -> int:
        """The exit code of a fork server that has ended; 1 when a signal ended it."""
        code = self._process.wait()
        return code if code >= 0 else 1

    def describe_end(self) -> str:
        """Return why it has ended instead of getting ready."""
        code = self._process.wait()
        how = f"exit code {code}" if code >= 0 else name_signal(-code)
        if self.why:
            return self.why
        if running := self.watch.running:
            return (
                f"{running.owner}: {running.what} has ended the process ({how}); take it out, or deny it in [plugins]"
            )
        return f"the process has ended ({how}), and the lines before this one say why"

    async def wait_until_ready(self) -> dict[str, Any] | None:
        """Return what the fork server says when it can start workers, or None when it has ended instead."""
        return await asyncio.shield(self._ready)

    def order(self, do: str, number: int = -1, **values: Any) -> None:
        """Let the fork server do something; one that is gone does nothing."""
        with contextlib.suppress(OSError):
            self._connection.sendall(json.dumps({"do": do, "number": number, **values}).encode() + b"\n")

    def close(self) -> None:
        """Let the fork server end as soon as its workers have."""
        self.order("close")

    def stop(self) -> None:
        """End the fork server and its workers now, and wait for that."""
        self.watch.close()
        asyncio.get_running_loop().remove_reader(self._connection)
        self._connection.close()
        # By its closed socket it knows that it must kill its workers and end.
        if not self._ready.done():
            self._process.kill()  # it still loads, and reads nothing
        try:
            self._process.wait(STOP_SECONDS)
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
            self._note_exit()
            return
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            if line.startswith(b"{"):
                self._follow_message(json.loads(line))
            else:  # what `faulthandler` writes
                self.watch.note_stack(line.decode(errors="replace"))

    def _follow_message(self, message: dict[str, Any]) -> None:
        if message["event"] == RUNS:
            self.watch.note(message["code"], message.get("limit", 0.0))
        elif message["event"] == FAILED:
            self.why = message["why"]
        elif message["event"] == "ready" and not self._ready.done():
            self._ready.set_result(message)
        else:
            self._on_message(self, message)

    def _note_exit(self) -> None:
        self.watch.close()
        asyncio.get_running_loop().remove_reader(self._connection)
        if not self._ready.done():
            self._ready.set_result(None)
        self._on_exit(self)
