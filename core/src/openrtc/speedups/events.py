"""Speedup `events`: an event of livekit's native library is dispatched by key to its listener, not offered to all.

The native library answers and reports everything through one callback, and livekit offers each event to everybody who
listens in the process: with N calls, N times as many events to N times as many listeners. `RoutedQueue` hands an event
to those alone that it is for, and to everybody of whom that is not known.

Which listener an event is for is found by looking at what the listener does with it, not by knowing who it is: whoever
waits compares the event with the id of its stream or of its request, and `openrtc.speedups.event_addresses` learns it
from that. A room takes several kinds of events, and is known by `Room._listen_task`.
"""

from __future__ import annotations

import asyncio
import dis
import functools
import logging
import sys
from collections.abc import Callable, Coroutine
from types import CodeType
from typing import Any, NamedTuple, TypeVar

from livekit.rtc import _ffi_client
from livekit.rtc._ffi_client import FfiClient, FfiQueue
from livekit.rtc._proto.ffi_pb2 import FfiEvent
from livekit.rtc._utils import Queue
from livekit.rtc.room import Room

from openrtc.speedups.event_addresses import ANY_ID, Address, AddressFinder

logger = logging.getLogger("livekit")  # livekit's: its error of a closed loop is logged where it was before

T = TypeVar("T")

_ROOM_ANSWERS = (Address("publish_track", ANY_ID), Address("unpublish_track", ANY_ID))
"""What a room passes on to those who wait for it in `LocalParticipant`."""

_finder = AddressFinder(FfiEvent)

_listen_upstream = Room._listen_task


def install() -> None:
    """From now on, give each event of this process only to its listener; who listens already goes on listening."""
    if _ffi_client.FfiQueue is RoutedQueue:
        return
    _ffi_client.FfiQueue = RoutedQueue  # type: ignore[misc]  # the patch
    Room._listen_task = _listen_routed  # type: ignore[assignment, method-assign]  # the patch
    if (client := FfiClient._instance) is not None:
        routed = RoutedQueue[FfiEvent]()
        with client._queue._lock:  # a native thread may be giving out an event
            routed._subscribers = client._queue._subscribers
            client._queue = routed


class _Route(NamedTuple):
    """Where a listener's events go, and which ones it gets."""

    queue: Queue[Any]
    loop: asyncio.AbstractEventLoop
    filter: Callable[[Any], bool] | None
    addresses: tuple[Address, ...]


class RoutedQueue(FfiQueue[T]):
    """Hands each event to the listeners whose address it bears, and to those who have no address."""

    def __init__(self) -> None:
        super().__init__()
        self._routes: dict[int, _Route] = {}
        # Tuples, since a listener that the collector finds while an event is given out leaves in the midst of that.
        self._by_address: dict[Address, tuple[_Route, ...]] = {}

    def put(self, item: T) -> None:
        """Take an event from the native library, in a thread of its own."""
        address = _finder.find_of_event(item)
        with self._lock:
            for route in self._by_address.get(address, ()):
                _deliver(route, item)
            if address.id != ANY_ID:
                for route in self._by_address.get(Address(address.kind, ANY_ID), ()):
                    _deliver(route, item)
            if self._subscribers:
                super().put(item)

    def subscribe(
        self, loop: asyncio.AbstractEventLoop | None = None, filter_fn: Callable[[T], bool] | None = None
    ) -> Queue[T]:
        """Listen to everything; whoever names an address later gets only what is for it."""
        queue: _ListenerQueue[T] = _ListenerQueue(self)
        with self._lock:
            self._subscribers.append((queue, loop or asyncio.get_event_loop(), filter_fn))
        if filter_fn is not None and (address := _find_address(filter_fn)):
            self.route(queue, address)
        return queue

    def unsubscribe(self, queue: Queue[T]) -> None:
        """Stop listening."""
        with self._lock:
            if not self._remove_route(queue):
                super().unsubscribe(queue)

    def route(self, queue: Queue[T], *addresses: Address) -> None:
        """From now on, give a listener only what is for these addresses; nothing happens when it listens no more."""
        with self._lock:
            found = next((entry for entry in self._subscribers if entry[0] is queue), None)
            if found is None:
                return
            self._subscribers.remove(found)
            route = self._routes[id(queue)] = _Route(*found, addresses)
            for address in addresses:
                self._by_address[address] = (*self._by_address.get(address, ()), route)

    def unroute(self, queue: Queue[T]) -> None:
        """From now on, give a listener everything again, unless it listens no more."""
        with self._lock:
            if route := self._remove_route(queue):
                self._subscribers.append((route.queue, route.loop, route.filter))

    def _remove_route(self, queue: Queue[T]) -> _Route | None:
        route = self._routes.pop(id(queue), None)
        for address in route.addresses if route else ():
            left = tuple(other for other in self._by_address.pop(address) if other.queue is not queue)
            if left:
                self._by_address[address] = left
        return route


class _ListenerQueue(Queue[T]):
    """The queue of one listener."""

    def __init__(self, events: RoutedQueue[T]) -> None:
        super().__init__()
        self._events = events

    def wait_for(self, fnc: Callable[[T], bool]) -> Coroutine[Any, Any, T]:
        """Return the next event that passes a test; while that waits, other events are left out where that is safe.

        Only where livekit's own code waits once: whoever waits for two answers in turn must not miss the second one.
        """
        # Not `async`, so that the frame is the caller's, and the address counts before the caller goes on.
        safe = id(self) not in self._events._routes and _waits_once(sys._getframe(1).f_code)
        address = _find_address(fnc) if safe else None
        if address is None:
            return super().wait_for(fnc)
        self._events.route(self, address)
        # A stream listens for its address as long as it lives; whoever got its one answer may wait for another.
        return self._wait_for_answer(fnc) if _finder.is_answer(address) else super().wait_for(fnc)

    async def _wait_for_answer(self, test: Callable[[T], bool]) -> T:
        try:
            return await super().wait_for(test)
        finally:
            self._events.unroute(self)


def _deliver(route: _Route, event: object) -> None:
    try:
        route.loop.call_soon_threadsafe(route.queue.put_nowait, event)
    except Exception as error:  # as in livekit: a loop that was closed by somebody who still listens
        logger.error("error putting to queue: %s", error)


def _find_address(test: Callable[[Any], Any]) -> Address | None:
    if not str(getattr(test, "__module__", "")).startswith("livekit.rtc."):
        return None  # somebody else's test may do anything, so it is not tried on made-up events
    return _finder.find_of_test(test)


@functools.lru_cache(maxsize=256)  # livekit waits in fewer places; the bound is for others'
def _waits_once(code: CodeType) -> bool:
    waits = [step for step in dis.get_instructions(code) if step.argval == "wait_for"]
    return len(waits) == 1


async def _listen_routed(room: Room) -> None:
    me = room._local_participant
    if isinstance(room._ffi_queue, _ListenerQueue) and room._ffi_handle is not None and me is not None:
        own = (
            Address("room_event", room._ffi_handle.handle),
            Address("rpc_method_invocation", me._ffi_handle.handle),
        )
        room._ffi_queue._events.route(room._ffi_queue, *own, *_ROOM_ANSWERS)
    await _listen_upstream(room)
