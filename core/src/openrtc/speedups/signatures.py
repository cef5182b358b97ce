"""Speedup `signatures`: livekit's event emitter remembers how many arguments a callback takes.

The emitter gives each callback as many arguments as it takes, and works that out with `inspect.signature` for each
event and callback anew: 20 µs, about a hundred times a second and call, 4 % of the loop's time (docs/performance.md).
"""

from __future__ import annotations

import inspect
import types
import weakref
from collections.abc import Callable
from typing import Any

from livekit.rtc import EventEmitter
from livekit.rtc.log import logger  # livekit's: what a callback raises is logged where it was before

_upstream_emit = EventEmitter.emit

# Weak, since most callbacks are closures of one call: remembered ones must not keep the call's objects alive.
_counts: weakref.WeakKeyDictionary[Callable[..., Any], dict[bool, int | None]] = weakref.WeakKeyDictionary()
"""How many arguments each function takes, plain (False) and as a method (True)."""


def install() -> None:
    """From now on, let every event emitter remember how many arguments a callback takes."""
    EventEmitter.emit = _emit  # type: ignore[method-assign]  # the patch


def uninstall() -> None:
    """Undo `install`."""
    EventEmitter.emit = _upstream_emit  # type: ignore[method-assign]  # the patch undone


def _emit(self: EventEmitter[Any], event: Any, *args: Any) -> None:
    """Call all callbacks of an event; what one raises is logged, except for `TypeError`, as in livekit."""
    if event not in self._events:
        return
    for callback in list(self._events[event]):  # a copy: a callback may remove itself
        try:
            callback(*args[: _count_arguments(callback)])
        except TypeError:
            raise
        except Exception:  # as in livekit: one bad callback keeps the event from nobody else
            logger.exception(f"failed to emit event {event}")


def _count_arguments(callback: Callable[..., Any]) -> int | None:
    """Return how many positional arguments a callback takes, None for any number."""
    is_method = isinstance(callback, types.MethodType)
    # A bound method is a new object at each access: what is remembered belongs to its function.
    function = callback.__func__ if isinstance(callback, types.MethodType) else callback
    if not isinstance(function, types.FunctionType):
        return _inspect(callback)  # a partial, a class, an object: its signature may change, nothing is remembered
    counts = _counts.setdefault(function, {})
    if is_method not in counts:
        counts[is_method] = _inspect(callback)
    return counts[is_method]


def _inspect(callback: Callable[..., Any]) -> int | None:
    parameters = inspect.signature(callback).parameters.values()
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return None
    return sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
