"""Every private name of livekit's event emitter that OpenRTC uses, and nothing else.

The emitter gives each callback as many arguments as it takes, and works that out with `inspect.signature` for each
event and callback anew: 20 µs, for about a hundred events a second and call. Here it is worked out once for each
function.
"""

from __future__ import annotations

import inspect
import types
import weakref
from collections.abc import Callable
from typing import Any

from livekit.rtc import EventEmitter
from livekit.rtc.log import logger

from openrtc.worker.speed.digest import changed

_KNOWN = {"EventEmitter.emit": (EventEmitter.emit, ("8ca973b063f878b9", "a82c0acd296851dd"))}  # livekit 1.1.17, 1.1.21

_emit_as_upstream = EventEmitter.emit

_arguments: weakref.WeakKeyDictionary[Callable[..., Any], dict[bool, int | None]] = weakref.WeakKeyDictionary()
"""How many arguments each function takes, plain and as a method."""


def why_signatures_not_kept() -> str | None:
    """Return None when livekit's event emitter is the one that `keep_signatures` replaces, else what differs."""
    return ", ".join(changed(_KNOWN)) or None


def keep_signatures() -> None:
    """From now on, let every event emitter remember how many arguments a callback takes."""
    EventEmitter.emit = _emit  # type: ignore[method-assign]


def emit_as_upstream() -> None:
    """Undo `keep_signatures`."""
    EventEmitter.emit = _emit_as_upstream  # type: ignore[method-assign]


def _emit(self: EventEmitter[Any], event: Any, *args: Any) -> None:
    """Call all callbacks of an event; what one raises is logged, except for `TypeError`, as in livekit."""
    if event not in self._events:
        return
    for callback in list(self._events[event]):
        try:
            callback(*args[: _arguments_of(callback)])
        except TypeError:
            raise
        except Exception:
            logger.exception(f"failed to emit event {event}")


def _arguments_of(callback: Callable[..., Any]) -> int | None:
    """Return how many positional arguments a callback takes, None for any number."""
    method = isinstance(callback, types.MethodType)
    function = callback.__func__ if isinstance(callback, types.MethodType) else callback
    if not isinstance(function, types.FunctionType):
        return _count(callback)  # it may be anything: nothing is remembered of it
    known = _arguments.setdefault(function, {})
    if method not in known:
        known[method] = _count(callback)
    return known[method]


def _count(callback: Callable[..., Any]) -> int | None:
    parameters = inspect.signature(callback).parameters.values()
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return None
    return sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
