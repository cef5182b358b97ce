"""Lets a process that an agent starts find the classes and functions of its distribution's own modules.

multiprocessing hands them over by the name of their module, and a new process knows no ``distribution-NAME.agent``; nor
would it find the siblings of a module with a plain name that another distribution has too. So they come with the entry
of their distribution.
"""

from __future__ import annotations

import contextlib
import operator
import sys
from types import FunctionType
from typing import Any

from openrtc.discovery.entries import Entry
from openrtc.plugins.own_modules import find_own_modules, find_owner, keep_path_apart, know_distributions, plain_name


def name_own_modules() -> None:
    """From now on, let what multiprocessing hands to other processes, and gets from them, be found there."""
    from multiprocessing.reduction import ForkingPickler  # not at the top: most commands need no multiprocessing

    ForkingPickler.reducer_override = _reduce  # type: ignore[method-assign]  # which `pickle` asks


def _reduce(_: object, value: object) -> Any:
    """Return how a class or function of a distribution is found in another process; any other value as ever."""
    if not isinstance(value, type | FunctionType):
        return NotImplemented
    module = sys.modules.get(value.__module__)
    own = None if module is None else find_owner(vars(module))
    if module is None or own is None or _find(module, value.__qualname__) is not value:
        return NotImplemented
    return _load, (own.entry, plain_name(module.__name__), value.__qualname__)


def _find(module: object, name: str) -> object:
    with contextlib.suppress(AttributeError):  # made in a function, or replaced since
        return operator.attrgetter(name)(module)
    return None


def _load(entry: Entry, module: str, name: str) -> Any:
    know_distributions([entry])
    name_own_modules()
    own = find_own_modules(entry)
    assert own is not None, "it has a folder, or nothing would have been its own"
    if own.name_of(module) in sys.modules:
        return operator.attrgetter(name)(sys.modules[own.name_of(module)])
    with keep_path_apart(entry):
        return operator.attrgetter(name)(own.import_module(module))
