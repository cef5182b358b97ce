"""`Nursery`: the parent of a supervisor's workers. It starts them, hands orders on, and tells what becomes of them.

The supervisor itself never imports anybody's package, so that none can end it. The nursery imports everything once
and forks each worker from there: what was loaded is shared, and a worker is there in milliseconds. After a rolling
restart there is a new nursery, with whatever is installed then.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openrtc.worker.leash import DRAIN, REGISTERED, REPLACE, STOP

ORDERS = {"drain": DRAIN, "stop": STOP}
NEWS = {REGISTERED[0]: "registered", REPLACE[0]: "replace"}

Start = Callable[[int, socket.socket, Callable[[], None]], int]
"""Starts a worker: takes its number, its end of the leash, and what a forked worker calls first; returns its pid."""


@dataclass(slots=True)
class Child:
    """A worker as its parent sees it.

    Args:
        number: Its number.
        pid: Its process id.
        leash: This side of its leash.
    """

    number: int
    pid: int
    leash: socket.socket


@dataclass
class Nursery:
    """Runs one thread, no loop: it must stay safe to fork.

    Args:
        control: The socket to the supervisor.
        start: How to start a worker.
    """

    control: socket.socket
    start: Start
    _children: dict[int, Child] = field(default_factory=dict)
    _unread: bytes = b""
    _closing: bool = False

    def run(self) -> None:
        """Do what the supervisor says until it is gone (then every worker is ended), or has closed this nursery."""
        self._wake, wake = socket.socketpair()
        for end in (self._wake, wake):
            end.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ, self._reap)
        self._selector.register(self.control, selectors.EVENT_READ, self._obey)
        self._sockets = [self._wake, wake, self.control]
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        while not (self._closing and not self._children):
            for key, _ in self._selector.select():
                key.data()

    def tell(self, event: str, **values: Any) -> None:
        """Tell the supervisor something."""
        with contextlib.suppress(OSError):
            self.control.sendall(json.dumps({"event": event, **values}).encode() + b"\n")

    def _obey(self) -> None:
        try:
            received = self.control.recv(65536)
        except OSError:
            received = b""
        if not received:
            self._end_all()
            return
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            self._do(**json.loads(line))

    def _do(self, do: str, number: int = -1) -> None:
        child = self._children.get(number)
        if do == "start":
            self._start_worker(number)
        elif do == "close":
            self._closing = True
        elif child and do == "kill":
            os.kill(child.pid, signal.SIGKILL)
        elif child:
            with contextlib.suppress(OSError):
                child.leash.send(ORDERS[do])

    def _start_worker(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        pid = self.start(number, theirs, lambda: self._let_go(ours))
        theirs.close()
        self._children[number] = Child(number, pid, ours)
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._hear(number))
        self.tell("started", number=number, pid=pid)

    def _hear(self, number: int) -> None:
        if child := self._children.get(number):  # else it was reaped a moment ago
            self._listen(child)

    def _let_go(self, own: socket.socket) -> None:
        """In a forked worker: close what belongs to the nursery."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        self._selector.close()
        for connection in (own, *self._sockets, *(child.leash for child in self._children.values())):
            connection.close()

    def _listen(self, child: Child) -> None:
        try:
            news = child.leash.recv(64, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            news = b""
        for word in news:
            self.tell(NEWS[word], number=child.number)
        if not news and child.leash.fileno() in self._selector.get_map():
            self._selector.unregister(child.leash)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake.recv(4096)
        for child in list(self._children.values()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._gone(child, os.waitstatus_to_exitcode(status))

    def _gone(self, child: Child, code: int) -> None:
        self._listen(child)
        if child.leash.fileno() in self._selector.get_map():
            self._selector.unregister(child.leash)
        child.leash.close()
        del self._children[child.number]
        self.tell("exited", number=child.number, code=code)

    def _end_all(self) -> None:
        self._closing = True
        self._selector.unregister(self.control)
        for child in self._children.values():
            os.kill(child.pid, signal.SIGKILL)
