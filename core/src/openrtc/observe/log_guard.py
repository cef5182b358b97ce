"""Keeps the worker's log whatever a package does to `logging`, which belongs to the process and not to the package.

An agent may configure `logging` as it would in a process of its own: clear the root logger's handlers, disable all
loggers, set levels. In a shared process that would mute or reformat the lines of all others. So `WorkerLog` gets its
records from the loggers themselves, by what the operator has set; and each logger keeps, beside the values that
everybody sees, those that only OpenRTC, a library or the logger's own package has set.

What a package sets up for itself works: handlers on its own loggers get what they always got. One that it puts on the
root logger, or on those of OpenRTC and livekit, gets the package's own records; a plugin's gets all, to ship them
somewhere, but not to print them once more.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

from openrtc.errors import one_line, summarize_error
from openrtc.observe.package_code import (
    NO_PACKAGES,
    find_package,
    is_code_of,
    is_current,
    is_plugin,
    match_package,
)

logger = logging.getLogger("openrtc.observe")

WRITTEN = "openrtc_written"
"""Attribute of a record that has been offered to the worker's log."""

_wanted: dict[tuple[logging.Logger, int, str], bool] = {}
_own_values: set[str] = set()  # packages that have set something for their own calls
_log: WorkerLog | None = None
_unpatched: dict[tuple[Any, str], Any] = {}


class WorkerLog(logging.Handler):
    """The worker's log: stands among the root logger's handlers, and writes even when it has been taken out.

    Args:
        write: Writes one record.
        flush: Writes what was kept back.
    """

    def __init__(self, write: Callable[[logging.LogRecord], None], flush: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._write = write
        self._flush = flush
        self._own_filters: list[Any] = []
        self._filters_of_packages: list[tuple[str, Any]] = []

    def addFilter(self, filter: Any) -> None:
        """Add a filter; one of a package is asked about the package's own records only."""
        if package := find_package():
            self._filters_of_packages.append((package, filter))
        elif filter not in self._own_filters:
            self._own_filters.append(filter)

    def removeFilter(self, filter: Any) -> None:
        """Remove a filter; a package removes only what a package has added."""
        self._filters_of_packages = [kept for kept in self._filters_of_packages if kept[1] is not filter]
        if filter in self._own_filters and not find_package():
            self._own_filters.remove(filter)

    def take(self, record: logging.LogRecord, source: logging.Logger) -> None:
        """Write a record of a logger, unless a filter rejects it."""
        for accept in self._own_filters:
            passed = _ask(accept, record)
            if not passed:
                return
            record = passed
        for package, accept in self._filters_of_packages:
            if _is_own(record, source, package):
                with _contain(package, "a filter"):
                    passed = _ask(accept, record)
                    if not passed:
                        return
                    record = passed
        with self.lock or contextlib.nullcontext():
            self._write(record)

    def flush(self) -> None:
        """Write what was kept back; `logging` calls this at the end of the process."""
        self._flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record that somebody hands over directly."""
        if WRITTEN not in vars(record):
            self.take(record, logging.getLogger(record.name))


def install(log: WorkerLog) -> None:
    """Let a log take the records of all loggers from now on, and be the root logger's only handler."""
    global _log
    _log = log
    root = logging.getLogger()
    root.handlers[:] = [log]
    if not _unpatched:
        _patch()
    _forget_answers()


def uninstall() -> None:
    """Let `logging` be as it was."""
    global _log
    for (holder, name), before in _unpatched.items():
        if before is None:
            delattr(holder, name)
        else:
            setattr(holder, name, before)
    _unpatched.clear()
    _forget_answers()
    if _log in logging.getLogger().handlers:
        logging.getLogger().removeHandler(_log)
    _log = None


def current_log() -> WorkerLog | None:
    """Return the worker's log, if one is installed."""
    return _log


def keep_open(handler: logging.Handler) -> None:
    """Let no package close a handler, as `logging.shutdown` and ``dictConfig`` do with all that there are."""
    close = handler.close

    def close_unless_by_package() -> None:
        if find_package() is None:
            close()

    handler.close = close_unless_by_package  # type: ignore[method-assign]  # of this one alone


def reattach() -> None:
    """Put the worker's log among the root logger's handlers again, where livekit-agents looks for it."""
    handlers = logging.getLogger().handlers
    if _log and _log not in handlers:
        handlers.insert(0, _log)


def _find_owner(source: logging.Logger) -> str | None:
    """Return the package to which a logger belongs: by its name, or because the package has made it."""
    return match_package(source.name) or source.__dict__.get("openrtc_owner")


def _is_of_frameworks(source: logging.Logger) -> bool:
    return source.name.partition(".")[0] in NO_PACKAGES


class _Everybody(str):
    """Whose lines a change of a logger is about: everybody's; else a package's, and an empty name means nobody's."""


EVERYBODY = _Everybody("*")


def _find_scope(source: logging.Logger) -> str:
    """Return whose lines a change of a logger is about, by who makes it.

    A package decides about its own loggers. About a library's it decides for its own calls; what the library does
    itself, though because a package has called it, counts for all.
    """
    package = find_package()
    if package is None:
        return EVERYBODY
    if source.parent is None or _is_of_frameworks(source):
        return ""
    owner = _find_owner(source)
    if owner is None:
        return find_package(direct=True) or EVERYBODY
    return EVERYBODY if owner == package else ""


class _KeptValue:
    """An attribute of every logger that has a second value, for the worker's log.

    Args:
        name: The attribute.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._kept = f"openrtc_{name}"

    def __get__(self, source: logging.Logger | None, kind: type | None = None) -> Any:
        if source is None:
            return self
        try:
            return source.__dict__[self._name]
        except KeyError:
            raise AttributeError(self._name) from None

    def __set__(self, source: logging.Logger, value: Any) -> None:
        values = source.__dict__
        if self._kept not in values:  # a new logger
            values[self._name] = values[self._kept] = value
            return
        scope = _find_scope(source)
        if not scope and source.parent is not None:
            return  # what is another's stays as it is, also for the other's own handlers
        values[self._name] = value
        if scope is EVERYBODY:
            values[self._kept] = value
        elif scope:
            values[f"{self._kept} {scope}"] = value
            _own_values.add(scope)
        _forget_answers()


def _patch() -> None:
    for one in (logging.getLogger(), *logging.Logger.manager.loggerDict.values()):
        if isinstance(one, logging.Logger):
            one.disabled = False  # by whoever has configured `logging` before
            if _is_of_frameworks(one):
                one.propagate = True
                one.setLevel(logging.NOTSET)
            for name in ("level", "disabled", "propagate"):
                one.__dict__.setdefault(f"openrtc_{name}", one.__dict__[name])
            one.__dict__.setdefault("openrtc_filters", list(one.filters))
    kind = logging.Logger
    for name in ("level", "disabled", "propagate"):
        _replace(kind, name, _KeptValue(name))
    _replace(kind, "isEnabledFor", _is_enabled_for)
    _replace(kind, "handle", _handle)
    _replace(kind, "callHandlers", _call_handlers)
    _replace(kind, "addFilter", _add_filter)
    _replace(kind, "removeFilter", _remove_filter)
    _replace(kind, "__init__", _init_logger)
    _replace(logging.Handler, "__init__", _init_handler)
    _replace(logging, "setLogRecordFactory", _set_factory)
    _replace(logging, "captureWarnings", _capture_warnings)


def _replace(holder: Any, name: str, new: Any) -> None:
    _unpatched[holder, name] = vars(holder).get(name)
    setattr(holder, name, new)


def _is_enabled_for(self: logging.Logger, level: int) -> bool:
    # Called for each line that is not written, too. `logging` keeps its own answers in this dictionary, and empties it
    # whenever a level changes; its own code would read other meanings from it, but is not called any more.
    try:
        enabled: bool = self._cache[level]  # type: ignore[attr-defined]  # typeshed leaves private names out
    except KeyError:
        wanted = _wants(self, level, "") or any(_wants(self, level, package) for package in _own_values)
        enabled = wanted or _is_enabled_elsewhere(self, level)
        self._cache[level] = enabled  # type: ignore[attr-defined]  # as above
    return enabled


def _is_enabled_elsewhere(source: logging.Logger, level: int) -> bool:
    """Whether handlers other than the worker's log get records of a level."""
    return not source.disabled and source.manager.disable < level >= source.getEffectiveLevel()


def _wants(source: logging.Logger, level: int, package: str) -> bool:
    """Whether the worker's log takes records of a level in calls of a package, by what those have set who may."""
    asked = (source, level, package)
    wanted = _wanted.get(asked)
    if wanted is None:
        wanted = _wanted[asked] = _decide(source, level, package)
    return wanted


def _decide(source: logging.Logger, level: int, package: str) -> bool:
    def get(one: logging.Logger, name: str) -> Any:
        values = one.__dict__
        return values.get(f"openrtc_{name} {package}", values.get(f"openrtc_{name}", values[name]))

    if _log is None or get(source, "disabled"):
        return False
    threshold, above = 0, source
    while True:
        threshold = threshold or get(above, "level")
        if above.parent is None:
            return level >= threshold
        if not get(above, "propagate"):
            return False  # a package keeps it to itself
        above = above.parent


def _forget_answers() -> None:
    _wanted.clear()
    logging.getLogger().manager._clear_cache()  # type: ignore[attr-defined]  # typeshed leaves private names out


def _handle(self: logging.Logger, record: logging.LogRecord) -> None:
    kept = self.__dict__.get("openrtc_filters", ())
    for accept in kept:
        passed = _ask(accept, record)
        if not passed:
            return
        record = passed
    _offer(self, record)
    if self.__dict__["disabled"] or not _is_enabled_elsewhere(self, record.levelno):
        return
    for accept in self.filters:
        if accept not in kept:
            passed = _ask_package(_find_adder(self, accept), accept, record)
            if not passed:
                return
            record = passed
    self.callHandlers(record)


def _call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
    _offer(self, record)  # of a job process, whose records livekit-agents hands over here
    above: logging.Logger | None = self
    while above is not None:
        for handler in above.handlers:
            if handler is _log or record.levelno < handler.level:
                continue
            package = handler.__dict__.get("openrtc_owner")
            if package is None:
                handler.handle(record)
            elif _may_have(handler, package, above, record, self):
                with _contain(package, "a handler"):
                    handler.handle(record)
        above = above.parent if above.__dict__["propagate"] else None


def _offer(source: logging.Logger, record: logging.LogRecord) -> None:
    if _log and WRITTEN not in record.__dict__:
        package = next((one for one in _own_values if is_current(one)), "")
        if _wants(source, record.levelno, package) and (not package or _passes_own_filters(source, record, package)):
            _log.take(record, source)
        record.__dict__[WRITTEN] = True


def _may_have(
    handler: logging.Handler, package: str, place: logging.Logger, record: logging.LogRecord, source: logging.Logger
) -> bool:
    """Whether a package's handler gets a record: on shared loggers, its own; what is shipped by a plugin, all."""
    shared = place.parent is None or _is_of_frameworks(place)
    if not shared and _find_owner(place) in (None, package):
        return True
    if is_plugin(package) and not _prints(handler):
        return True
    if _is_of_frameworks(source):
        return place.parent is not None and is_current(package)
    return _is_own(record, source, package)


def _prints(handler: logging.Handler) -> bool:
    stream = getattr(handler, "stream", None)
    try:
        return stream is not None and stream.fileno() in (1, 2)
    except (OSError, ValueError, AttributeError):  # not a file of the system, or closed
        return stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)


def _is_own(record: logging.LogRecord, source: logging.Logger, package: str) -> bool:
    """Whether a record is a package's: of its logger, of its code, or of its call."""
    if _is_of_frameworks(source):
        return False
    if owner := _find_owner(source):
        return owner == package
    return is_code_of(record.pathname, package) or is_current(package)


def _ask(accept: Any, record: logging.LogRecord) -> logging.LogRecord | None:
    """Return the record that a filter lets pass, which may be another one since Python 3.12."""
    passed = accept.filter(record) if hasattr(accept, "filter") else accept(record)
    return passed if isinstance(passed, logging.LogRecord) else record if passed else None


def _passes_own_filters(source: logging.Logger, record: logging.LogRecord, package: str) -> bool:
    """Whether a record of a library passes the filters that a package has put there, in the package's own call."""
    added = source.__dict__.get("openrtc_added", ())
    return all(_ask_package(package, accept, record) for adder, accept in added if adder == package)


def _find_adder(source: logging.Logger, accept: Any) -> str:
    return next((adder for adder, added in source.__dict__.get("openrtc_added", ()) if added is accept), "a package")


def _ask_package(package: str, accept: Any, record: logging.LogRecord) -> logging.LogRecord | None:
    passed: list[logging.LogRecord | None] = []
    with _contain(package, "a filter"):
        passed.append(_ask(accept, record))
    return passed[0] if passed else record


_reported: set[str] = set()


@contextlib.contextmanager
def _contain(package: str, what: str) -> Iterator[None]:
    """Let whoever logs go on when a package's code in `logging` raises; it is said once."""
    try:
        yield
    except Exception as error:  # whatever it is, it is not the mistake of who logs
        text = f"{what} of {package} for log lines fails: {summarize_error(error)}; the lines are written all the same"
        if text not in _reported:
            _reported.add(text)
            logger.warning("%s", one_line(text))


def _add_filter(self: logging.Logger, filter: Any) -> None:
    _unpatched_filter("addFilter")(self, filter)
    scope = _find_scope(self)
    if scope is EVERYBODY:
        kept = self.__dict__.setdefault("openrtc_filters", [])
        if filter not in kept:
            kept.append(filter)
    else:
        self.__dict__.setdefault("openrtc_added", []).append((scope or find_package(), filter))
        _own_values.update({scope} - {""})


def _remove_filter(self: logging.Logger, filter: Any) -> None:
    _unpatched_filter("removeFilter")(self, filter)
    kept = self.__dict__.get("openrtc_filters", [])
    if filter in kept and _find_scope(self) is EVERYBODY:
        kept.remove(filter)
    if added := self.__dict__.get("openrtc_added"):
        added[:] = [one for one in added if one[1] is not filter]


def _unpatched_filter(name: str) -> Any:
    return _unpatched[logging.Logger, name] or getattr(logging.Filterer, name)


def _init_logger(self: logging.Logger, name: str, level: int = logging.NOTSET) -> None:
    _unpatched[logging.Logger, "__init__"](self, name, level)
    if package := find_package(direct=True):
        self.__dict__["openrtc_owner"] = package


def _init_handler(self: logging.Handler, level: int | str = logging.NOTSET) -> None:
    _unpatched[logging.Handler, "__init__"](self, level)
    if package := find_package():
        self.__dict__["openrtc_owner"] = package


def _set_factory(factory: Callable[..., logging.LogRecord]) -> None:
    set_factory = _unpatched[logging, "setLogRecordFactory"]
    package = find_package()
    if package is None:
        set_factory(factory)
        return
    before = logging.getLogRecordFactory()

    def make(name: str, level: int, pathname: str, *rest: Any, **more: Any) -> logging.LogRecord:
        owner = match_package(name)
        if owner == package or (owner is None and is_code_of(pathname, package)):
            return factory(name, level, pathname, *rest, **more)
        return before(name, level, pathname, *rest, **more)

    set_factory(make)


def _capture_warnings(capture: bool) -> None:
    if find_package() is None:
        _unpatched[logging, "captureWarnings"](capture)
