"""`ProcessMarks`: what is the process's, read before a package's code runs and put back after it."""

from __future__ import annotations

import builtins
import gc
import locale
import operator
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from openrtc.errors import summarize_error
from openrtc.plugins.guard.environment import ENVIRONMENT
from openrtc.plugins.guard.mark import Mark
from openrtc.plugins.guard.reports import LOGGING, WARNINGS
from openrtc.posix import block_signals, read_alarms, read_blocked_signals, stop_alarms


@dataclass(frozen=True, slots=True)
class Change:
    """What a package has changed.

    Args:
        what: What it is called in a line.
        missed: As in `Mark`.
        problem: Why it could not be put back; empty where it was.
    """

    what: str
    missed: bool = False
    problem: str = ""


class ProcessMarks:
    """What belongs to the process, as it is when this is made."""

    def __init__(self) -> None:
        self._before = [(mark, mark.read()) for mark in MARKS]

    def restore(self) -> list[Change]:
        """Put back what has changed meanwhile, and return what that was."""
        changes = [_restore(mark, before) for mark, before in self._before]
        return [change for change in changes if change]


def _restore(mark: Mark, before: Any) -> Change | None:
    what = mark.name
    try:
        now = mark.read()
        if mark.same(before, now):
            return None
        what = mark.describe(before, now) if mark.describe else what
        mark.restore(before, now)
        return Change(what, mark.missed)
    except Exception as error:  # of a package's own objects, or a folder that is gone: the others are put back
        return Change(what, problem=summarize_error(error))


def _read_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been removed: there is no way back to it
        return None


def _restore_folder(before: str | None, _: str | None) -> None:
    if before is not None:
        os.chdir(before)


def _read_mask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _read_path() -> list[str]:
    return list(sys.path)


def _restore_path(before: list[str], now: list[str]) -> None:
    sys.path[:] = [*(place for place in now if place not in before), *before]


def _read_signals() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _find_signals(before: Mapping[int, Any], now: Mapping[int, Any]) -> list[int]:
    return [number for number, handler in before.items() if now[number] != handler]


def _restore_signals(before: Mapping[int, Any], now: Mapping[int, Any]) -> None:
    for number in _find_signals(before, now):
        signal.signal(number, before[number])


def _describe_signals(before: Mapping[int, Any], now: Mapping[int, Any]) -> str:
    return f"what happens at {', '.join(signal.Signals(number).name for number in _find_signals(before, now))}"


def _read_policy() -> Any:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or not hasattr(asyncio, "get_event_loop_policy"):
        return None
    with warnings.catch_warnings(action="ignore"):  # Python 3.14 warns of everything that asks for it
        return asyncio.get_event_loop_policy()


def _is_policy_same(before: Any, now: Any) -> bool:
    # Whoever imports asyncio and asks makes the default one.
    return before is now or (before is None and type(now).__module__.startswith("asyncio."))


def _restore_policy(before: Any, _: Any) -> None:
    with warnings.catch_warnings(action="ignore"):
        sys.modules["asyncio"].set_event_loop_policy(before)


def _read_start_method() -> str | None:
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is None:
        return None
    method = multiprocessing.get_start_method(allow_none=True)
    return None if method == multiprocessing.get_all_start_methods()[0] else method


def _restore_start_method(before: str | None, _: str | None) -> None:
    sys.modules["multiprocessing"].set_start_method(before, force=True)


def _read_decimals() -> Any:
    decimal = sys.modules.get("decimal")
    if decimal is None:
        return None
    context = decimal.getcontext().copy()
    context.clear_flags()
    return None if repr(context) == repr(decimal.Context()) else context


def _are_decimals_same(before: Any, now: Any) -> bool:
    return repr(before) == repr(now)


def _restore_decimals(before: Any, _: Any) -> None:
    decimal = sys.modules["decimal"]
    decimal.setcontext(before or decimal.Context())


def _read_builtins() -> dict[str, Any]:
    return {name: value for name, value in vars(builtins).items() if name != "_"}  # which holds the last result


def _find_builtins(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name, value in before.items() if now.get(name) is not value]


def _restore_builtins(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for name in _find_builtins(before, now):
        setattr(builtins, name, before[name])


def _are_builtins_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return not _find_builtins(before, now)


def _describe_builtins(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return ", ".join(f"builtins.{name}" for name in _find_builtins(before, now))


def _read_locale() -> str:
    return locale.setlocale(locale.LC_ALL)


def _set_locale(name: str) -> None:
    locale.setlocale(locale.LC_ALL, name)


def _attribute(holder: Any, name: str) -> Mark:
    what = f"{holder.__name__}.{name}"
    return Mark(what, lambda: getattr(holder, name), lambda before, _: setattr(holder, name, before), operator.is_)


def _value(name: str, read: Callable[[], Any], write: Callable[[Any], object], *, missed: bool = False) -> Mark:
    return Mark(name, read, lambda before, _: write(before), missed=missed)


MARKS = (
    ENVIRONMENT,
    WARNINGS,
    LOGGING,
    Mark("the current folder", _read_folder, _restore_folder, missed=True),
    Mark("the path of imports", _read_path, _restore_path, lambda before, now: set(before) <= set(now)),
    Mark("what happens at signals", _read_signals, _restore_signals, describe=_describe_signals, missed=True),
    _value("which signals are held back", read_blocked_signals, block_signals),
    Mark("alarms", read_alarms, lambda before, _: stop_alarms(before), missed=True),
    _value("the default timeout of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout, missed=True),
    Mark("the policy of event loops", _read_policy, _restore_policy, _is_policy_same),
    Mark("how processes are started", _read_start_method, _restore_start_method, missed=True),
    Mark("the context of decimal numbers", _read_decimals, _restore_decimals, _are_decimals_same, missed=True),
    Mark("built-in functions", _read_builtins, _restore_builtins, _are_builtins_same, _describe_builtins),
    _value("whether garbage is collected", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    _value("when garbage is collected", gc.get_threshold, lambda counts: gc.set_threshold(*counts)),
    _value("the limit of recursion", sys.getrecursionlimit, sys.setrecursionlimit),
    _value("the switch interval of threads", sys.getswitchinterval, sys.setswitchinterval),
    _value("the locale", _read_locale, _set_locale, missed=True),
    _value("the mask of new files", _read_mask, os.umask),
    *(_attribute(sys, name) for name in ("excepthook", "unraisablehook", "displayhook", "breakpointhook")),
    _attribute(threading, "excepthook"),
)
