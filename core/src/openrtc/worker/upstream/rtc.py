"""Every private name of livekit's event queue and rooms that OpenRTC uses, and nothing else.

The native library answers and tells everything through one callback, and livekit offers each event to everybody who
listens in the process: the work grows with the square of the calls. `RoutedQueue` hands an event to those alone that it
is for, and to everybody of whom that is not known.

Who an event is for is found by looking at what a listener does with it, not by knowing who it is: whoever waits
compares the event with the id of its stream or of its request, and `openrtc.worker.speed.addresses` learns it from
that. A room takes several kinds of events, and is known by `Room._listen_task`.
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
from livekit.rtc.participant import LocalParticipant
from livekit.rtc.room import Room

from openrtc.worker.speed.addresses import ANY_ID, Address, Addresses
from openrtc.worker.speed.digest import changed

logger = logging.getLogger("livekit")

T = TypeVar("T")

_KNOWN = {
    "FfiQueue": (FfiQueue, ("f9a0e378fc23238f",)),
    "Queue.wait_for": (Queue.wait_for, ("cc73db54fbba1db6",)),
    "Room._listen_task": (Room._listen_task, ("45ef1e5ef04d1bbd",)),
    "Room._on_rpc_method_invocation": (Room._on_rpc_method_invocation, ("3371924285e26bd6",)),
    "LocalParticipant.publish_track": (LocalParticipant.publish_track, ("b414e6ae6f905c01",)),
    "LocalParticipant.unpublish_track": (LocalParticipant.unpublish_track, ("6b9013b331117478",)),
}

_ROOM_ANSWERS = (Address("publish_track", ANY_ID), Address("unpublish_track", ANY_ID))
"""What a room passes on to those who wait for it in `LocalParticipant`."""

_addresses = Addresses(FfiEvent)

_listen_in_upstream = Room._listen_task


def why_not_routed() -> str | None:
    """Return None when this livekit delivers events in the way that `RoutedQueue` replaces, else what differs."""
    return ", ".join(changed(_KNOWN)) or None


def route_events() -> None:
    """From now on, let each event of this process go only to whom it is for; who listens already goes on listening."""
    if _ffi_client.FfiQueue is RoutedQueue:
        return
    _ffi_client.FfiQueue = RoutedQueue  # type: ignore[misc]
    Room._listen_task = _listen_with_address  # type: ignore[assignment, method-assign]
    if (client := FfiClient._instance) is not None:
        routed = RoutedQueue[FfiEvent]()
        with client._queue._lock:
            routed._subscribers = client._queue._subscribers
            client._queue = routed


class _Seat(NamedTuple):
    """Where a listener's events go, and which ones it gets."""

    queue: Queue[Any]
    loop: asyncio.AbstractEventLoop
    filter: Callable[[Any], bool] | None
    addresses: tuple[Address, ...]


class RoutedQueue(FfiQueue[T]):
    """Hands each event to the listeners whose address it bears, and to those who have no address."""

    def __init__(self) -> None:
        super().__init__()
        self._seats: dict[int, _Seat] = {}
        # Tuples, since a listener that the collector finds while an event is given out leaves in the midst of that.
        self._by_address: dict[Address, tuple[_Seat, ...]] = {}

    def put(self, item: T) -> None:
        """Take an event from the native library, in a thread of its own."""
        address = _addresses.of(item)
        with self._lock:
            for seat in self._by_address.get(address, ()):
                _deliver(seat, item)
            if address.id != ANY_ID:
                for seat in self._by_address.get(Address(address.kind, ANY_ID), ()):
                    _deliver(seat, item)
            if self._subscribers:
                super().put(item)

    def subscribe(
        self, loop: asyncio.AbstractEventLoop | None = None, filter_fn: Callable[[T], bool] | None = None
    ) -> Queue[T]:
        """Listen; whoever names an address later gets only what is for it."""
        queue: _Listener[T] = _Listener(self)
        with self._lock:
            self._subscribers.append((queue, loop or asyncio.get_event_loop(), filter_fn))
        if filter_fn is not None and (address := _address_in(filter_fn)):
            self.seat(queue, address)
        return queue

    def unsubscribe(self, queue: Queue[T]) -> None:
        """Listen no more."""
        with self._lock:
            if not self._leave(queue):
                super().unsubscribe(queue)

    def seat(self, queue: Queue[T], *addresses: Address) -> None:
        """From now on, give a listener only what is for these addresses. Nothing happens when it listens no more."""
        with self._lock:
            found = next((entry for entry in self._subscribers if entry[0] is queue), None)
            if found is None:
                return
            self._subscribers.remove(found)
            seat = self._seats[id(queue)] = _Seat(*found, addresses)
            for address in addresses:
                self._by_address[address] = (*self._by_address.get(address, ()), seat)

    def unseat(self, queue: Queue[T]) -> None:
        """From now on, give a listener everything again, unless it listens no more."""
        with self._lock:
            if seat := self._leave(queue):
                self._subscribers.append((seat.queue, seat.loop, seat.filter))

    def _leave(self, queue: Queue[T]) -> _Seat | None:
        seat = self._seats.pop(id(queue), None)
        for address in seat.addresses if seat else ():
            left = tuple(other for other in self._by_address.pop(address) if other.queue is not queue)
            if left:
                self._by_address[address] = left
        return seat


class _Listener(Queue[T]):
    """The queue of one listener."""

    def __init__(self, events: RoutedQueue[T]) -> None:
        super().__init__()
        self._events = events

    def wait_for(self, fnc: Callable[[T], bool]) -> Coroutine[Any, Any, T]:
        """Return the next event that passes a test; while that waits, other events are left out where that is safe.

        Only where livekit's own code waits once: whoever waits for two answers in turn must not miss the second one.
        """
        safe = id(self) not in self._events._seats and _waits_once(sys._getframe(1).f_code)
        address = _address_in(fnc) if safe else None
        if address is None:
            return super().wait_for(fnc)
        self._events.seat(self, address)
        return self._wait_for_answer(fnc) if _addresses.is_answer(address) else super().wait_for(fnc)

    async def _wait_for_answer(self, test: Callable[[T], bool]) -> T:
        try:
            return await super().wait_for(test)
        finally:
            self._events.unseat(self)


def _deliver(seat: _Seat, event: object) -> None:
    try:
        seat.loop.call_soon_threadsafe(seat.queue.put_nowait, event)
    except Exception as error:  # as in livekit: a loop that was closed by somebody who still listens
        logger.error("error putting to queue: %s", error)


def _address_in(test: Callable[[Any], bool]) -> Address | None:
    if not str(getattr(test, "__module__", "")).startswith("livekit.rtc."):
        return None  # somebody else's test may do anything
    return _addresses.wanted_by(test)


@functools.lru_cache(maxsize=256)
def _waits_once(code: CodeType) -> bool:
    waits = [step for step in dis.get_instructions(code) if step.argval == "wait_for"]
    return len(waits) == 1


async def _listen_with_address(room: Room) -> None:
    me = room._local_participant
    if isinstance(room._ffi_queue, _Listener) and room._ffi_handle is not None and me is not None:
        own = (
            Address("room_event", room._ffi_handle.handle),
            Address("rpc_method_invocation", me._ffi_handle.handle),
        )
        room._ffi_queue._events.seat(room._ffi_queue, *own, *_ROOM_ANSWERS)
    await _listen_in_upstream(room)
