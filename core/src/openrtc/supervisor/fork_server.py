"""`ForkServer`: the parent of a supervisor's workers. It starts them, hands on orders, reports what becomes of them.

The supervisor itself never imports anybody's package, so that none can end it. The fork server imports everything once
and forks each worker from there: what was loaded is shared, and a worker is there in milliseconds. After a rolling
restart there is a new fork server, with whatever is installed then.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from openrtc.supervisor.process_role import WORKER, Doors, ProcessRole
from openrtc.worker.control_channel import (
    DRAIN,
    DRAIN_ALL,
    LEAVE,
    MOST_AT_ONCE,
    REGISTERED,
    REPLACE,
    STOP,
    Messages,
    Place,
)
from openrtc.worker.offer import Offer

ORDERS = {"drain": DRAIN, "stop": STOP, "leave": LEAVE}
NEWS = {REGISTERED: "registered", REPLACE: "replace", DRAIN_ALL: "drain-all"}

FAILED, NO_DOORS = "failed", "no-doors"
"""Events of a fork server: it cannot start workers, since something is wrong with what is installed or set; its workers
listen on their health ports themselves."""

StartWorker = Callable[[ProcessRole, socket.socket, Callable[[], None]], int]
"""Starts a worker: takes its role, its end of the control channel, and what a forked worker calls first; returns its
pid."""


@dataclass(slots=True)
class Child:
    """A worker as its parent sees it.

    Args:
        number: Its number.
        pid: Its process id.
        channel: This end of its control channel.
        messages: What has come through it.
    """

    number: int
    pid: int
    channel: socket.socket
    messages: Messages = field(default_factory=Messages)


@dataclass
class ForkServer:
    """Runs one thread, no loop: it must stay safe to fork.

    Args:
        control: The socket to the supervisor.
        start: How to start a worker.
        doors: The workers' health ports.
    """

    control: socket.socket
    start: StartWorker
    doors: Doors = ()
    _children: dict[int, Child] = field(default_factory=dict)
    _unread: bytes = b""
    _closing: bool = False

    def run(self) -> None:
        """Do what the supervisor orders until it has closed this server and all workers have ended, or is gone.

        Then this process ends at once, by which each worker notices that it is alone, and finishes its calls.
        """
        self._wake, wake = socket.socketpair()
        for end in (self._wake, wake):
            end.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ, self._reap)
        self._selector.register(self.control, selectors.EVENT_READ, self._read_orders)
        self._sockets = [self._wake, wake, self.control]
        # Python writes to the wake-up descriptor only for signals that have a handler; the selector then returns.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        while not (self._closing and not self._children):
            for key, _ in self._selector.select():
                key.data()

    def report(self, event: str, **values: Any) -> None:
        """Send an event to the supervisor."""
        report(self.control, event, **values)

    def _read_orders(self) -> None:
        try:
            received = self.control.recv(65536)
        except OSError:
            received = b""
        if not received:
            self._let_go()
            return
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            self._follow_order(**json.loads(line))

    def _follow_order(self, do: str, number: int = -1, **values: Any) -> None:
        child = self._children.get(number)
        if do == "start":
            self._start_worker(number, **values)
        elif do == "close":
            self._closing = True
        elif child and do == "kill":
            os.kill(child.pid, signal.SIGKILL)
        elif child:
            with contextlib.suppress(OSError):  # one that is gone is reaped
                child.channel.send(ORDERS[do] if do in ORDERS else json.dumps(values).encode() + b"\n")

    def _start_worker(self, number: int, slot: int, answers: bool, keep: Mapping[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        doors = self.doors[slot] if self.doors else ()
        place = Place(number=number, slot=slot, doors=doors, answers=answers, keep=Offer(**keep))
        role = ProcessRole(WORKER, theirs.fileno(), place)
        pid = self.start(role, theirs, lambda: self._close_inherited(ours, doors))
        theirs.close()
        child = self._children[number] = Child(number, pid, ours)
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._read_news(child))
        self.report("started", number=number, pid=pid)

    def _close_inherited(self, own: socket.socket, doors: tuple[int, ...]) -> None:
        """In a forked worker: close what belongs to the fork server.

        A worker that kept the other ends open would not notice that its parent has died, nor would its siblings.
        """
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        self._selector.close()
        for connection in (own, *self._sockets, *(child.channel for child in self._children.values())):
            connection.close()
        for descriptor in (one for door in self.doors if door != doors for one in door):
            os.close(descriptor)

    def _read_news(self, child: Child) -> None:
        if child.channel.fileno() < 0:
            return  # it was reaped a moment ago, in the same round of the selector
        try:
            news = child.channel.recv(MOST_AT_ONCE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            news = b""
        for message in child.messages.feed(news):
            if isinstance(message, dict):
                self.report(**message, number=child.number)
            elif message in NEWS:
                self.report(NEWS[message], number=child.number)
        if not news:
            self._stop_reading(child)

    def _stop_reading(self, child: Child) -> None:
        if child.channel.fileno() in self._selector.get_map():
            self._selector.unregister(child.channel)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake.recv(4096)
        # One SIGCHLD may stand for several children.
        for child in list(self._children.values()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._forget(child, os.waitstatus_to_exitcode(status))

    def _forget(self, child: Child, code: int) -> None:
        self._read_news(child)  # its last words come before its end
        self._stop_reading(child)
        child.channel.close()
        del self._children[child.number]
        self.report("exited", number=child.number, code=code)

    def _let_go(self) -> None:
        self._closing = True
        self._selector.unregister(self.control)
        for child in self._children.values():
            child.channel.close()
        self._children.clear()
        for descriptor in (one for door in self.doors for one in door):
            os.close(descriptor)  # now: the end of this process may take a while


def report(control: socket.socket, event: str, **values: Any) -> None:
    """Send an event to the supervisor."""
    with contextlib.suppress(OSError):  # one that is gone is noticed where orders are read
        control.sendall(json.dumps({"event": event, **values}).encode() + b"\n")
