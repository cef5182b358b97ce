"""Keeps the worker's way to be told to stop, whatever an agent does with signals.

A loop and a process have one handler for a signal. An agent that asks for one in its call, as it might in a process of
its own, would take away the drain, and one that gives it back when its call ends would leave none at all. Here the
worker's own stays, and an agent's is called after it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import signal
import threading
from collections.abc import Callable
from typing import Any

from openrtc.errors import summarize_error
from openrtc.observe.package_code import find_package
from openrtc.posix import call_on_signals, find_signals

logger = logging.getLogger("openrtc.worker")

Handler = Callable[..., Any] | int | None


class SignalGuard:
    """Calls back in the running loop at some signals until it is closed, whoever else asks for them.

    Args:
        callback: Is called first at each of the signals, and takes it.
        names: Such as ``SIGINT`` or ``SIGTERM``; all others are left alone.
    """

    def __init__(self, callback: Callable[[signal.Signals], None], *names: str) -> None:
        self._callback = callback
        self._numbers = find_signals(*names)
        self._of_loop: dict[int, Callable[[], Any]] = {}
        self._of_process: dict[int, Handler] = {}
        self._before: list[tuple[Any, str, Any]] = []
        call_on_signals(self._receive, *names)
        self._install(asyncio.get_running_loop())

    def close(self) -> None:
        """Let everything be as it was; the worker's own handlers go with the loop."""
        for holder, name, before in reversed(self._before):
            if before is None:
                delattr(holder, name)
            else:
                setattr(holder, name, before)
        self._before.clear()

    def _receive(self, number: signal.Signals) -> None:
        """Call everybody who asked for a signal, the worker itself first."""
        self._callback(number)
        asked = [self._of_loop[number]] if number in self._of_loop else []
        if callable(handler := self._of_process.get(number)):
            asked.append(lambda: handler(number, None))
        for call in asked:
            try:
                call()
            except BaseException as error:  # aiohttp's handler, for example, raises a SystemExit to end the loop
                logger.warning("a package's handler of %s: %s", number.name, summarize_error(error))

    def _install(self, loop: asyncio.AbstractEventLoop) -> None:
        own_thread = threading.main_thread()
        add, remove = (getattr(loop, name) for name in ("add_signal_handler", "remove_signal_handler"))
        set_handler, set_wakeup = signal.signal, signal.set_wakeup_fd

        def add_signal_handler(number: int, callback: Callable[..., Any], *args: Any) -> None:
            if number not in self._numbers:
                add(number, callback, *args)
                return
            if inspect.iscoroutinefunction(callback):
                raise TypeError("coroutines cannot be used with add_signal_handler()")
            _log_kept(number)
            self._of_loop[number] = lambda: callback(*args)

        def remove_signal_handler(number: int) -> bool:
            if number in self._numbers:
                return self._of_loop.pop(number, None) is not None
            removed: bool = remove(number)
            return removed

        def set_signal(number: int, handler: Handler) -> Handler:
            if number not in self._numbers or threading.current_thread() is not own_thread:
                return set_handler(number, handler)  # which tells other threads that they may not
            if not callable(handler) and handler not in tuple(signal.Handlers):
                raise TypeError("signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object")
            _log_kept(number)
            before = self._of_process.get(number, signal.getsignal(number))
            self._of_process[number] = handler
            return before

        def set_wakeup_fd(descriptor: int, **options: Any) -> int:
            # asyncio and uvloop learn of signals by it; a package that takes it would get them instead.
            taken = threading.current_thread() is own_thread and find_package() is not None
            return -1 if taken else set_wakeup(descriptor, **options)

        self._replace(loop, "add_signal_handler", add_signal_handler)
        self._replace(loop, "remove_signal_handler", remove_signal_handler)
        self._replace(signal, "signal", set_signal)
        self._replace(signal, "set_wakeup_fd", set_wakeup_fd)

    def _replace(self, holder: Any, name: str, new: Any) -> None:
        self._before.append((holder, name, vars(holder).get(name)))
        setattr(holder, name, new)


def _log_kept(number: int) -> None:
    logger.debug("a package asks for %s: the worker's own handler stays", signal.Signals(number).name)
