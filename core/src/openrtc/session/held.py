"""Finds out what of an ended call something holds that outlives the call: a module, a class, a cache, a resource.

A client that a package makes once and all its calls share was made in one of them, and its tasks are tasks of that
call. What tells them from what a call has forgotten is who holds them: from the modules' global names one comes to the
client, and from there to its tasks; to a task that an agent keeps on itself one comes through the agent alone.

References are followed from the modules of packages, not of Python, livekit and OpenRTC: what holds everything that
runs, such as the loop, would say nothing. For the same reason agents, sessions and rooms hold nothing here, and a
future does not hold who waits for it. A set or list in a module holds neither tasks nor rooms nor threads: it keeps
them from being collected, as the documentation of asyncio advises. And what a dict has under the name of the call's
room or the id of its job is the call's.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import sys
import threading
import time
import types
import weakref
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sized
from typing import Any, cast

from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext

from openrtc.session.containment import find_coroutine

SLICE_SECONDS = 0.002
"""How long it may look at a time: the calls share the loop."""
MOST_OBJECTS = 200_000
"""So many are looked at; what was not met by then counts as the call's own, as it does where nothing holds it."""

MOST_MEMBERS = 20_000
"""A container of more is data, not a registry of clients: to list it would hold the loop."""

_SKIPPED = sys.stdlib_module_names | {"livekit", "openrtc", "opentelemetry"}
"""Packages whose modules and classes are not looked at. Instances of Python's own classes are: a cache, a `partial`."""
_OPAQUE = ("openrtc.", "opentelemetry.", "livekit.rtc.", "livekit.agents.voice.", "livekit.agents.ipc.")
"""Instances of classes of these modules hold nothing here."""
_HOLDS_NOTHING = (
    *(Agent, AgentSession, JobContext, AgentServer, rtc.Room, rtc.Participant),
    *(asyncio.AbstractEventLoop, asyncio.Future, logging.Logger, logging.Handler, weakref.ref),
    *(types.ModuleType, types.CodeType, types.FrameType, types.TracebackType, types.BuiltinFunctionType),
    *(contextvars.Context, contextvars.ContextVar, contextvars.Token),
)
_PASSED_OVER = {
    *(types.ModuleType, types.BuiltinFunctionType, types.MemberDescriptorType, types.GetSetDescriptorType),
    *(types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType, property, str, int),
}
"""Most of what has a name in a module or class."""
_CONTAINERS = (set, frozenset, list, tuple, deque)
_SIZED = (dict, *_CONTAINERS)
_KEPT_ALIVE = (asyncio.Task, rtc.Room, threading.Thread)
"""What a bare set or list keeps from being collected, and does not hold."""
_Found = tuple[object, bool]
"""What was met, and whether there are only containers between it and the module or class that has it."""


class Held:
    """What is held by something that outlives a call; ask with ``in`` after `find`.

    Args:
        holders: Further objects that hold things, such as the resources of the worker.
        keys: What names the call in dicts.
    """

    def __init__(self, holders: Iterable[object] = (), keys: Iterable[str] = ()) -> None:
        self._holders = list(holders)
        self._keys = [key for key in keys if key]
        self._met: dict[int, object] = {}  # with the objects, so that no other gets the id of one that is gone

    def __contains__(self, value: object) -> bool:
        return id(value) in self._met

    async def find(
        self, wanted: Collection[object], first: Collection[str] = (), also: Collection[object] = ()
    ) -> None:
        """Follow references until everything ``wanted`` has been met or there are none left; the loop goes on.

        Args:
            wanted: What is asked for.
            first: Names of the top-level packages to begin with.
            also: Further objects that hold things; then nothing but these is looked at.
        """
        left = {id(one) for one in wanted} - self._met.keys()
        walk = self._walk(((one, False) for one in also) if also else self._list_roots(first))
        while left and len(self._met) < MOST_OBJECTS:
            until = time.monotonic() + SLICE_SECONDS
            for met in walk:
                left.discard(id(met))
                if not left or time.monotonic() > until:
                    break
            else:
                return
            await asyncio.sleep(0)

    def _walk(self, roots: Iterable[_Found]) -> Iterator[object]:
        queue: deque[_Found] = deque()
        for root in roots:
            queue.append(root)
            while queue:
                one, bare = queue.popleft()
                if id(one) in self._met or not gc.is_tracked(one):
                    continue
                self._met[id(one)] = one
                yield one
                queue.extend(self._list_references(one, bare))

    def _list_roots(self, first: Collection[str]) -> Iterator[_Found]:
        yield from ((one, False) for one in self._holders)
        named = [(name.partition(".")[0], module) for name, module in list(sys.modules.items())]
        modules = [one for one in named if one[0] not in _SKIPPED and issubclass(type(one[1]), types.ModuleType)]
        for _, module in sorted(modules, key=lambda one: one[0] not in first):
            yield from _list_members(object.__getattribute__(module, "__dict__"))

    def _list_references(self, one: object, bare: bool) -> Iterable[_Found]:
        # Not `isinstance`, which asks an object for its class: one that is a proxy would load what it stands for.
        kind = type(one)
        if issubclass(kind, type):
            return () if _name_package(one) in _SKIPPED else _list_members(type.__getattribute__(one, "__dict__"))
        if kind in _SIZED and len(cast(Sized, one)) > MOST_MEMBERS:
            return ()
        if kind in _CONTAINERS and bare:
            members = list(cast(Iterable[object], one))
            return [(member, True) for member in members if not issubclass(type(member), _KEPT_ALIVE)]
        if issubclass(kind, dict):
            return self._list_values(cast(dict[object, object], one), bare)
        if kind is types.FunctionType:  # not the names of its module
            function: Any = one
            own = (function.__closure__, function.__defaults__, function.__kwdefaults__, function.__dict__)
            return [(part, False) for part in own if part]
        if issubclass(kind, asyncio.Task):
            return [(find_coroutine(cast(asyncio.Task[Any], one)), False)]
        if issubclass(kind, _HOLDS_NOTHING) or f"{kind.__module__}.".startswith(_OPAQUE):
            return ()
        return [(part, False) for part in gc.get_referents(one) if gc.is_tracked(part)]

    def _list_values(self, one: dict[object, object], bare: bool) -> list[_Found]:
        if not any(dict.__contains__(one, key) for key in self._keys):
            return [(part, bare) for part in gc.get_referents(one) if gc.is_tracked(part)]
        return [(value, bare) for key, value in list(dict.items(one)) if key not in self._keys]


def _name_package(kind: Any) -> str:
    return str(type.__getattribute__(kind, "__dict__").get("__module__", "")).partition(".")[0]


def _list_members(names: Any) -> Iterator[_Found]:
    for name, value in list(names.items()):
        if type(value) not in _PASSED_OVER and not (name.startswith("__") and name.endswith("__")):
            yield value, True
