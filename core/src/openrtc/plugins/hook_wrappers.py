"""Calls the implementations of a hook within its wrappers, as pluggy does, but each on its own.

A wrapper (``@hookimpl(wrapper=True)``) is a generator that yields once: it begins before the implementations are
called, is given the list of what they returned, and returns the list that counts. In pluggy whatever one of all these
raises is everybody's. Here a wrapper that fails at its beginning is left out, and what one that fails at its end was
given counts; implementations that fail are told to no wrapper.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from openrtc.plugins.implementation import HookResult, Implementation

Plan = Generator[Implementation, HookResult, list[HookResult]]
"""Yields what is to be called next, is sent what that gave, and returns all results, failures included."""


def plan_wrapped_calls(
    implementations: Sequence[Implementation], wrappers: Sequence[Implementation], arguments: Mapping[str, Any]
) -> Plan:
    """Plan the calls of one hook; whoever drives the plan calls each in its own way and contains what it raises.

    Args:
        implementations: In the order in which they are called.
        wrappers: The outermost first.
        arguments: The hook's arguments.
    """
    begun: list[tuple[Implementation, Any]] = []
    failed: list[HookResult] = []
    for wrapper in wrappers:
        result = yield _as_step(wrapper, partial(_begin, wrapper, arguments))
        if result.error is None:
            begun.append((wrapper, result.value))
        else:
            failed.append(result)
    results: list[HookResult] = []
    for implementation in implementations:
        results.append((yield implementation))
    for wrapper, generator in reversed(begun):
        values = [result.value for result in results if result.error is None and result.value is not None]
        result = yield _as_step(wrapper, partial(_finish, generator, values))
        if result.error is not None:
            failed.append(result)
        elif result.value is not None:  # one that only watches returns nothing
            results = _replace_values(results, result)
    return results + failed


def _as_step(wrapper: Implementation, call: Callable[[], Any]) -> Implementation:
    return replace(wrapper, function=call, argument_names=())


def _begin(wrapper: Implementation, arguments: Mapping[str, Any]) -> Any:
    generator = wrapper.function(**{name: arguments[name] for name in wrapper.argument_names})
    try:
        next(generator)
    except StopIteration:
        raise RuntimeError("the wrapper has not yielded") from None
    return generator


def _finish(generator: Any, values: list[Any]) -> Sequence[Any] | None:
    try:
        generator.send(values)
    except StopIteration as end:
        if end.value is not None and not isinstance(end.value, list | tuple):
            kind = type(end.value).__name__
            raise TypeError(f"the wrapper has returned {kind}, not the list of results") from None
        return end.value
    generator.close()
    raise RuntimeError("the wrapper has yielded twice")


def _replace_values(results: list[HookResult], wrapped: HookResult) -> list[HookResult]:
    """Return the failures, and a result for each value: that of the implementation that gave it, or the wrapper's."""
    failures = [result for result in results if result.error is not None]
    given = {id(result.value): result for result in results if result.error is None}
    return [given.get(id(value), replace(wrapped, value=value)) for value in wrapped.value] + failures
