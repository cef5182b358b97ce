"""What a worker has made once from packages' code, and does not make again: resources, and what agents prewarm."""

from __future__ import annotations

import hashlib
import inspect
import types
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from openrtc.catalog.loaded import Loaded
from openrtc.model.status import State
from openrtc.plugins.hooks import Hooks
from openrtc.runtime.runtime import Runtime, collect_resources

MOST_CALLS_DEEP = 6
"""How far code is followed to the functions that it calls in its own package."""


def list_origins(runtime: Runtime) -> dict[str, str]:
    """Return what everything was made from: by what it is called in a line, a digest of the code."""
    return dict(_list(runtime.loaded, runtime.hooks))


def find_edited_origins(
    before: Mapping[str, str], new: Loaded, runtime: Runtime, modules: Collection[str]
) -> Iterator[str]:
    """Yield what was made from code that is another one now, or is to be made only now.

    Args:
        before: What `list_origins` gave before the import.
        new: What was loaded anew.
        runtime: What the calls share.
        modules: The modules that were imported anew.
    """
    for spec in runtime.specs:
        if getattr(spec.agent or spec.entrypoint, "__module__", None) in modules:
            yield f"the agent {spec.name!r}, which this program registers itself, is as it was"
    hooks = Hooks([plugin for plugin in new.plugins if plugin.state is State.READY])
    for what, digest in _list(new, hooks):
        if what in before and before[what] != digest:
            yield f"{what} is as it was made at the start"
        elif what not in before and what.startswith("the resource") and runtime.is_started:
            yield f"{what} is made at the start"


def _list(loaded: Loaded, hooks: Hooks) -> Iterator[tuple[str, str]]:
    for agent in loaded.agents:
        if agent.spec and agent.spec.prewarm:
            yield f"what the agent {agent.name!r} prewarms", describe_code(agent.spec.prewarm)
    for spec, _ in collect_resources(hooks):
        yield f"the resource {spec.key!r}", describe_code(spec.load)


def describe_code(value: object) -> str:
    """Return a digest of a function or class and of what it names in its own package; without places and addresses."""
    digest = hashlib.blake2b(digest_size=16)
    for part in _walk(value, set(), MOST_CALLS_DEEP):
        digest.update(part.encode(errors="replace"))
    return digest.hexdigest()


def _walk(value: Any, seen: set[int], steps: int) -> Iterator[str]:
    if id(value) in seen or steps == 0:
        return
    seen.add(id(value))
    value = inspect.unwrap(value) if callable(value) else value
    if isinstance(value, staticmethod | classmethod | types.MethodType):
        yield from _walk(value.__func__, seen, steps)
    elif isinstance(value, property):
        yield from _walk(value.fget, seen, steps)
    elif isinstance(value, types.FunctionType):
        yield repr(value.__defaults__) if _is_plain(value.__defaults__) else ""
        yield from _walk_code(value.__code__, value, seen, steps)
    elif isinstance(value, type):
        yield value.__qualname__
        for name, one in vars(value).items():
            if not name.startswith("__") or isinstance(one, types.FunctionType):
                yield name
                yield from _walk(one, seen, steps - 1)
    elif hasattr(value, "func"):  # a partial function
        yield from _walk(value.func, seen, steps)
    elif _is_plain(value):
        yield repr(value)


def _walk_code(code: types.CodeType, function: types.FunctionType, seen: set[int], steps: int) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames))
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield from _walk_code(one, function, seen, steps)
        elif _is_plain(one):
            yield repr(one)
    home = function.__module__.partition(".")[0]
    for name in code.co_names:
        one = function.__globals__.get(name)
        if _is_plain(one) or str(getattr(one, "__module__", "")).partition(".")[0] == home:
            yield from _walk(one, seen, steps - 1)


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, str | bytes | int | float | bool | None)
