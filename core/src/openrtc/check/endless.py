"""Finds loops that try an `AgentTask` for ever and without a pause, though it fails at once when the caller has gone.

Once a session closes, each further task fails at once with `ToolError`. Where that is caught, and the loop goes on
without waiting for anything, it never gives the event loop back, and all calls of the process stand still. The source
is read; nothing is run. Only what is certain counts: a loop that waits for anything else between two tries is passed
over, and so is one that is ever left where the task fails.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from openrtc.discovery.entries import Entry
from openrtc.plugins.own_modules import imported_name
from openrtc.plugins.own_sources import ModuleSource, OwnSources, list_names, walk_used

_CATCHING = ("ToolError", "Exception", "BaseException")
"""What the error is caught as."""
_WAITS = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)
_LEAVES = (ast.Return, ast.Raise, ast.Break)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class EndlessRetry:
    """A loop that never ends once the caller has gone.

    Args:
        task: What it tries.
        location: ``file:line`` of the loop.
    """

    task: str
    location: str


def find_endless_retries(roots: Iterable[Callable[..., Any]], entry: Entry) -> tuple[EndlessRetry, ...]:
    """Return such loops in functions and classes, and in all that they name in files of their distribution.

    Args:
        roots: What calls run.
        entry: The entry point whose distribution they are of.
    """
    found: dict[str, EndlessRetry] = {}
    sources = OwnSources(entry)
    for source, node in walk_used(sources, roots):
        for loop in ast.walk(node):
            if isinstance(loop, ast.While) and (task := _find_retried(loop, source, entry)):
                location = f"{source.file}:{loop.lineno}"
                found.setdefault(location, EndlessRetry(task, location))
    return tuple(found.values())


def _find_retried(loop: ast.While, source: ModuleSource, entry: Entry) -> str | None:
    """Return the task that a loop tries for ever, None where it does not."""
    if not (isinstance(loop.test, ast.Constant) and loop.test.value):
        return None
    for place, statement in enumerate(loop.body):
        if isinstance(statement, ast.Try):
            task = _find_task(statement.body, source, entry)
            rest = [*loop.body[:place], *statement.finalbody]
            if task is None or _holds(rest, (*_WAITS, *_LEAVES)):
                return None
            catching = next((one for one in statement.handlers if _catches(one)), None)
            after = [] if catching and _ends_in_continue(catching.body) else loop.body[place + 1 :]
            if catching is None or _holds([*catching.body, *after], (*_WAITS, *_LEAVES)):
                return None
            return task
    return None


def _find_task(body: Sequence[ast.stmt], source: ModuleSource, entry: Entry) -> str | None:
    """Return the task that is awaited first in a block."""
    first = next(_walk(body, (ast.Await,)), None)
    call = first.value if isinstance(first, ast.Await) else None
    names = list_names(call.func) if isinstance(call, ast.Call) else None
    return ".".join(names) if names and _is_task(_look_up(names, source, entry)) else None


def _look_up(names: Sequence[str], source: ModuleSource, entry: Entry) -> object:
    """Return what names stand for in a module that has been imported; None where it is not known."""
    found: object = sys.modules.get(imported_name(entry, source.module))
    for name in names:
        found = getattr(found, name, None)
    return found


def _is_task(value: object) -> bool:
    task = getattr(sys.modules.get("livekit.agents"), "AgentTask", None)
    return isinstance(task, type) and isinstance(value, type) and issubclass(value, task)


def _catches(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(one is None or ast.unparse(one).rpartition(".")[2] in _CATCHING for one in caught)


def _ends_in_continue(body: Sequence[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Continue)


def _holds(body: Iterable[ast.stmt], kinds: tuple[type[ast.AST], ...]) -> bool:
    return next(_walk(body, kinds), None) is not None


def _walk(body: Iterable[ast.AST], kinds: tuple[type[ast.AST], ...]) -> Iterator[ast.AST]:
    """Yield the nodes of these kinds in the order of the source; not those of functions within."""
    for node in body:
        if isinstance(node, kinds):
            yield node
        elif not isinstance(node, _SCOPES):
            yield from _walk(ast.iter_child_nodes(node), kinds)
