"""How Python warns and logs: of the process, and not of a package."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any

from openrtc.observe.log_guard import current_log
from openrtc.observe.package_code import NO_PACKAGES
from openrtc.plugins.guard.mark import Mark


@dataclass(frozen=True, slots=True)
class _Warnings:
    holder: Any
    filters: tuple[tuple[Any, ...], ...]
    functions: tuple[Any, ...]


def _read_warnings() -> _Warnings:
    functions = (warnings.showwarning, warnings.formatwarning)
    return _Warnings(warnings.filters, tuple(warnings.filters), functions)


def _is_of_library(rule: tuple[Any, ...]) -> bool:
    """Whether a filter hides or shows a library's own warnings, as many libraries set one for themselves at import."""
    action, message, category, module, _ = rule
    named = action == "ignore" and (message is not None or module is not None)
    return action != "error" and (named or category.__module__ != "builtins")


def _keep_additions(before: _Warnings, now: _Warnings) -> list[tuple[Any, ...]]:
    return [rule for rule in now.filters if rule not in before.filters and _is_of_library(rule)]


def _are_warnings_same(before: _Warnings, now: _Warnings) -> bool:
    kept = _keep_additions(before, now)
    rest = tuple(rule for rule in now.filters if rule not in kept)
    return now.holder is before.holder and rest == before.filters and now.functions == before.functions


def _restore_warnings(before: _Warnings, now: _Warnings) -> None:
    shown_by = getattr(now.functions[0], "__module__", "")
    if now.functions != before.functions and shown_by == "logging":
        logging.captureWarnings(False)  # or it would not know that it does so no more
    warnings.showwarning, warnings.formatwarning = before.functions
    kept = _keep_additions(before, now)
    warnings.filters = before.holder
    warnings.resetwarnings()  # which also lets the interpreter know that the list has changed
    before.holder[:] = [*kept, *before.filters]


@dataclass(frozen=True, slots=True)
class _Logging:
    disabled_up_to: int
    kinds: tuple[Any, ...]
    loggers: dict[str, tuple[Any, ...]]


def _read_logging() -> _Logging:
    if current_log():  # it keeps itself whatever is done to the loggers: see `log_guard`
        return _Logging(logging.NOTSET, (), {})
    root = logging.getLogger()
    for name in NO_PACKAGES:
        logging.getLogger(name)  # so that it is there, for a package to change and for this to put back
    found = [one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    return _Logging(
        root.manager.disable,
        (logging.getLoggerClass(), logging.getLogRecordFactory()),
        {one.name: _read_logger(one) for one in (root, *found)},
    )


def _read_logger(one: logging.Logger) -> tuple[Any, ...]:
    # Of a library's logger a package may set anything, but not switch it off, as `logging.config` does with all others.
    if one.parent is not None and one.name.partition(".")[0] not in NO_PACKAGES:
        return (one.disabled,)
    return (one.disabled, one.propagate, one.level, one.handlers[:], one.filters[:])


def _is_logging_same(before: _Logging, now: _Logging) -> bool:
    known = {name: now.loggers.get(name) for name in before.loggers}
    return known == before.loggers and (now.disabled_up_to, now.kinds) == (before.disabled_up_to, before.kinds)


def _restore_logging(before: _Logging, _: _Logging) -> None:
    logging.disable(before.disabled_up_to)
    kind, factory = before.kinds
    logging.setLoggerClass(kind)
    logging.setLogRecordFactory(factory)
    for name, (disabled, *more) in before.loggers.items():
        one = logging.getLogger(name)
        one.disabled = disabled
        if more:
            one.propagate, level, one.handlers[:], one.filters[:] = more
            one.setLevel(level)


WARNINGS = Mark("the filters of warnings", _read_warnings, _restore_warnings, _are_warnings_same)
LOGGING = Mark("the configuration of logging", _read_logging, _restore_logging, _is_logging_same)
