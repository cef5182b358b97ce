"""Lets a loop run blocking code in threads of whose code it is: see `openrtc.threads`."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

from livekit import agents

from openrtc.session.failure import is_framework
from openrtc.threads import ThreadOwner, current_threads

END_SECONDS = 5.0
"""How long the end of a loop waits for work in threads: what a call saves last is mostly not awaited."""

_LIVEKIT = str(Path(agents.__file__).parent) + os.sep


def give_threads(loop: asyncio.AbstractEventLoop, default: ThreadOwner) -> None:
    """Let ``asyncio.to_thread``, ``run_in_executor(None, …)`` and the names of hosts use threads of whose code it is.

    May be called again for the same loop, which then changes nothing.

    Args:
        loop: The loop; its methods are replaced.
        default: Whose threads are used for code that is in nobody's name, such as callbacks from foreign threads.
    """
    if "run_in_executor" not in vars(loop):
        vars(loop).update(_LoopThreads(loop, default).methods)


class _LoopThreads:
    """The methods of one loop that use threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop, default: ThreadOwner) -> None:
        self._loop = loop
        self._default = default
        self._run_in_chosen = loop.run_in_executor
        self.methods: dict[str, Callable[..., Any]] = {
            "run_in_executor": self.run_in_executor,
            "set_default_executor": self.set_default_executor,
            "shutdown_default_executor": self.shutdown_default_executor,
            "getaddrinfo": self.getaddrinfo,
            "getnameinfo": self.getnameinfo,
        }

    def _find_owner(self) -> ThreadOwner:
        return current_threads.get() or self._default

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        owner = self._find_owner()
        caller = _find_caller(sys._getframe(1))
        framework = caller.f_code.co_filename.startswith(_LIVEKIT)
        if executor is None and not framework:
            executor = owner.chosen
        if executor is not None:
            return self._run_in_chosen(executor, func, *args)
        if self._loop.is_closed():
            raise RuntimeError("Event loop is closed")
        group = owner.framework if framework else owner.own
        future = group.start(functools.partial(func, *args), _describe(func, caller))
        return asyncio.wrap_future(future, loop=self._loop)

    def set_default_executor(self, executor: ThreadPoolExecutor) -> None:
        if not isinstance(executor, ThreadPoolExecutor):
            raise TypeError("executor must be ThreadPoolExecutor instance")  # in asyncio's words
        self._find_owner().chosen = executor

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the loop's own
        # asyncio waits for threads for ever (5 minutes from Python 3.12 on): one that hangs would keep its process.
        owner = self._find_owner()
        left = [asyncio.wrap_future(work.future, loop=self._loop) for work in owner.unfinished]
        owner.close()
        if left:
            await asyncio.wait(left, timeout=END_SECONDS if timeout is None else min(timeout, END_SECONDS))

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        # In threads of their own: with the speedup `connections`, another call may wait for the same name.
        look_up = functools.partial(socket.getaddrinfo, host, port, family, type, proto, flags)
        return await self._look_up(look_up)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> Any:
        return await self._look_up(functools.partial(socket.getnameinfo, sockaddr, flags))

    async def _look_up(self, function: Callable[[], Any]) -> Any:
        return await asyncio.wrap_future(self._find_owner().names.start(function, "a host name"), loop=self._loop)


def _find_caller(frame: FrameType) -> FrameType:
    """Return the frame whose code asked for a thread."""
    if frame.f_code is asyncio.to_thread.__code__ and frame.f_back is not None:
        return frame.f_back
    return frame


def _describe(function: Callable[..., Any], caller: FrameType) -> str:
    """Return what runs in a thread, and where it was asked for; where a task did that, where it is defined."""
    if isinstance(function, functools.partial):  # of asyncio.to_thread: Context.run and the function
        function = next(iter(function.args), function.func)
    named = function if hasattr(function, "__qualname__") else type(function)
    name = f"{named.__module__}.{named.__qualname__}" if named.__module__ else named.__qualname__
    place = f"{caller.f_code.co_filename}:{caller.f_lineno}"
    if is_framework(caller.f_code.co_filename):
        code = getattr(function, "__code__", None)
        place = f"{code.co_filename}:{code.co_firstlineno}" if code else ""
    return f"{name}() at {place}" if place else f"{name}()"
