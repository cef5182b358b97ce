"""`Damage`: what a package's code leaves behind that cannot be put back."""

from __future__ import annotations

import os
import pkgutil
import sys
import threading

_forks = 0
_REPLACEABLE = (
    *("socket:socket", "socket:getaddrinfo", "select:select", "ssl:SSLContext", "subprocess:Popen", "time:sleep"),
    *("threading:Thread.start", "threading:Lock", "asyncio:run", "asyncio:Task", "os:fork", "builtins:__import__"),
)
"""What libraries such as nest_asyncio replace for the whole process."""


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_count_fork)


class Damage:
    """What there is, as of when this is made."""

    def __init__(self) -> None:
        self._forks = _forks
        self._threads = set(threading.enumerate())
        self._replaced = _find_replaced()

    def find_threads(self) -> list[str]:
        """Return the names of the threads that have been started meanwhile and still run."""
        started = {thread.name for thread in set(threading.enumerate()) - self._threads}
        # Python names so what a native library has started, such as LiveKit's, when it first calls into Python.
        return sorted(name for name in started if not name.startswith("Dummy-"))

    def describe(self) -> list[str]:
        """Return what has been done meanwhile to the whole process."""
        replaced = {name: by for name, by in _find_replaced().items() if name not in self._replaced}
        found = [
            f"{by} has replaced {', '.join(name for name in replaced if replaced[name] == by)} for the whole process"
            for by in dict.fromkeys(replaced.values())
        ]
        if _forks > self._forks:
            found.append("it has forked this process")
        return found


def _find_replaced() -> dict[str, str]:
    """Return which functions of the standard library are somebody else's, and whose."""
    return {name.replace(":", "."): by for name in _REPLACEABLE if (by := _find_replacer(name))}


def _find_replacer(name: str) -> str | None:
    if name.partition(":")[0] not in sys.modules:
        return None
    try:
        home = str(getattr(pkgutil.resolve_name(name), "__module__", "")).partition(".")[0]
    except AttributeError:  # another system's
        return None
    return home if home and home not in sys.stdlib_module_names else None
