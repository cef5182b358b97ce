"""`Fault`: why an entry cannot be used, where the cause is and what fixes it."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import FrameType, ModuleType

from openrtc.discovery.entries import Entry
from openrtc.errors import one_line
from openrtc.model.status import State, Status
from openrtc.plugins.own_modules import plain_name


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
    return _find_place(traceback.walk_tb(error.__traceback__), entry.module)


def locate_frame(frame: FrameType | None, module: str) -> str | None:
    """Return where a thread is: ``file:line`` of the deepest frame in the own package of a module, else of any.

    Args:
        frame: The thread's innermost frame.
        module: A module of the package.
    """
    return _find_place(reversed(list(traceback.walk_stack(frame))) if frame else (), module)


def _find_place(frames: Iterable[tuple[FrameType, int]], module: str) -> str | None:
    package = _find_package(plain_name(module))
    named = [
        (plain_name(str(frame.f_globals.get("__name__", ""))), f"{frame.f_code.co_filename}:{line}")
        for frame, line in frames
        if not frame.f_code.co_filename.startswith("<frozen")
    ]
    own = [place for name, place in named if name == package or name.startswith(package + ".")]
    foreign = [place for name, place in named if not name.startswith(("openrtc.plugins.", "importlib"))]
    return own[-1] if own else foreign[-1] if foreign else None


def locate_in_dump(dump: str, module: str) -> str | None:
    """Return ``file:line`` of the deepest frame in a module's package, in what `faulthandler` wrote of a process."""
    top = plain_name(module).partition(".")[0]
    frames = re.findall(r'File "([^"]+)", line (\d+)', dump)
    own = [f"{file}:{line}" for file, line in frames if top in Path(file).with_suffix("").parts]
    return own[0] if own else None


def _find_package(module: str) -> str:
    """Return the package that holds a module's file: the outermost one that is no namespace package."""
    parts = module.split(".")
    for count in range(1, len(parts)):
        name = ".".join(parts[:count])
        found = sys.modules.get(name)
        if found is None or getattr(found, "__file__", None):
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
