"""`Fault`: why an entry cannot be used, where the cause is and what fixes it."""

from __future__ import annotations

import inspect
import sys
import traceback
from types import ModuleType

from openrtc.discovery.entries import Entry
from openrtc.errors import one_line
from openrtc.model.status import State, Status


class Fault(Exception):
    """Why an entry cannot be used.

    Args:
        reason: What is wrong.
        fix: What fixes it.
        location: ``file:line`` of the cause.
        at: Instead of a location, the class, function, module or object that is at fault.
    """

    def __init__(self, reason: str, fix: str, location: str | None = None, *, at: object = None) -> None:
        super().__init__(reason)
        place = location if at is None else source_location(at)
        self.status = Status(State.BROKEN, one_line(reason), one_line(fix), place)


def describe_error(error: BaseException) -> str:
    """Return type and message of an error; its ``__str__`` may be somebody's and fail too."""
    try:
        message = one_line(str(error))
    except Exception as second:  # whatever somebody's __str__ raises
        message = f"its message cannot be read: {type(second).__name__}"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def locate_error(error: BaseException, entry: Entry) -> str | None:
    """Return ``file:line`` of the deepest frame in the entry's own package, else of the deepest frame at all."""
    package = own_package(entry)
    frames = [
        (str(frame.f_globals.get("__name__", "")), f"{frame.f_code.co_filename}:{line}")
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith("<frozen")
    ]
    own = [place for module, place in frames if module == package or module.startswith(package + ".")]
    foreign = [place for module, place in frames if not module.startswith(("openrtc.plugins.", "importlib"))]
    return own[-1] if own else foreign[-1] if foreign else None


def own_package(entry: Entry) -> str:
    """Return the package that holds the entry's files: the outermost one that is no namespace package."""
    parts = entry.module.split(".")
    for count in range(1, len(parts)):
        name = ".".join(parts[:count])
        module = sys.modules.get(name)
        if module is None or getattr(module, "__file__", None):
            return name
    return ".".join(parts)


def source_location(target: object) -> str | None:
    """Return ``file:line`` where a class, function or module is defined, or that of an object's class."""
    if isinstance(target, ModuleType):
        return getattr(target, "__file__", None)
    try:
        where = inspect.unwrap(target) if callable(target) else type(target)
        subject = where if inspect.isroutine(where) or isinstance(where, type) else type(where)
        file = inspect.getsourcefile(subject)
        return f"{file}:{inspect.getsourcelines(subject)[1]}" if file else None
    except (OSError, TypeError, ValueError):
        return None
