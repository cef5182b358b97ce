"""Makes what a call has kept belong to the new code: objects of an edited class become objects of the new one.

After an import the old and the new class are two: ``isinstance(old, New)`` is false, ``Mode.B != Mode.B``, and `pickle`
refuses the old object.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import sys
from collections import deque
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

MOST_RENEWED = 100_000
"""Of one call; what is beyond stays of the old classes."""

_reloaded: set[str] = set()
_OPAQUE = (str, bytes, bytearray, int, float, complex, bool, type(None), type)


def note_reloaded(modules: Iterable[str]) -> None:
    """Note that modules were imported anew, so that objects of their classes may be of old ones."""
    _reloaded.update(modules)


def find_current(cls: type) -> type | None:
    """Return the class that stands in the place of an old one now; None where the class is no old one."""
    module = cls.__module__
    if module not in _reloaded or "<locals>" in cls.__qualname__:
        return None
    try:
        found = attrgetter(cls.__qualname__)(sys.modules[module])
    except (KeyError, AttributeError):
        return None
    return found if isinstance(found, type) and found is not cls else None


def renew(value: Any) -> Any:
    """Return a value with all that it holds made of the new classes, as far as Python lets it.

    Objects and containers stay the same ones; members of an enumeration, and tuples that hold any, are replaced.

    Args:
        value: What a call has kept, such as its ``userdata``.
    """
    return _Renewal().renew(value)


class _Renewal:
    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}

    def renew(self, value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return _renew_member(value)
        if isinstance(value, _OPAQUE) or len(self._seen) > MOST_RENEWED:
            return value
        if id(value) not in self._seen:
            self._seen[id(value)] = value
            kind = type(value)
            if kind is tuple:
                parts = [self.renew(one) for one in value]
                if any(new is not old for new, old in zip(parts, value, strict=True)):
                    self._seen[id(value)] = tuple(parts)
            elif isinstance(value, dict | list | set | deque):
                self._renew_container(value)
            self._renew_object(value)
        return self._seen[id(value)]

    def _renew_container(self, value: Any) -> None:
        if isinstance(value, dict):
            for key, one in list(value.items()):
                new_key, new = self.renew(key), self.renew(one)
                if new_key is not key:
                    del value[key]
                if new_key is not key or new is not one:
                    value[new_key] = new
        elif isinstance(value, set):
            old = list(value)
            new = [self.renew(one) for one in old]
            if any(one is not other for one, other in zip(old, new, strict=True)):
                value.clear()
                value.update(new)
        else:
            for number, one in enumerate(list(value)):
                if (new := self.renew(one)) is not one:
                    value[number] = new

    def _renew_object(self, value: Any) -> None:
        kind = type(value)
        new = find_current(kind)
        if new is None and kind.__module__ not in _reloaded:
            return  # a library's: what it holds is its own affair
        for name in _list_attributes(value):
            with contextlib.suppress(AttributeError, TypeError):
                old = object.__getattribute__(value, name)
                if (renewed := self.renew(old)) is not old:
                    object.__setattr__(value, name, renewed)
        if new is None:
            return
        try:
            object.__setattr__(value, "__class__", new)
        except TypeError:  # its layout is another one: other slots, another base
            return
        if dataclasses.is_dataclass(new):
            _fill_fields(value, new)


def _renew_member(value: enum.Enum) -> Any:
    new = find_current(type(value))
    if new is None or not issubclass(new, enum.Enum):
        return value
    try:
        return new[value.name]
    except KeyError:  # it is there no more, or is several flags
        with contextlib.suppress(ValueError):
            return new(value.value)
    return value


def _list_attributes(value: Any) -> list[str]:
    slots = [name for kind in type(value).__mro__ for name in _as_names(vars(kind).get("__slots__", ()))]
    return [*getattr(value, "__dict__", {}), *slots]


def _as_names(slots: Any) -> list[str]:
    names = [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def _fill_fields(value: Any, kind: Any) -> None:
    """Give an object the fields that its class did not have when it was made."""
    for one in dataclasses.fields(kind):
        if not hasattr(value, one.name):
            if one.default is not dataclasses.MISSING:
                object.__setattr__(value, one.name, one.default)
            elif one.default_factory is not dataclasses.MISSING:
                object.__setattr__(value, one.name, one.default_factory())
