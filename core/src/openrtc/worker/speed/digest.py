"""Tells whether code of livekit is what OpenRTC knows, comments and formatting aside."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class of a module, where what a decorator has made of it does not tell its source."""

    module: ModuleType
    name: str


@functools.cache
def digest_of(owner: object) -> str:
    """Return a short digest of what a function or class does: its syntax tree, without docstrings and positions."""
    return hashlib.sha256(_shape(_body_of(owner)).encode()).hexdigest()[:16]


def _body_of(owner: object) -> list[ast.stmt]:
    if isinstance(owner, type):  # whose source inspect finds in five times the time
        owner = Definition(sys.modules[owner.__module__], owner.__name__)
    if isinstance(owner, Definition):
        body = ast.parse(inspect.getsource(owner.module)).body
        return [part for part in body if getattr(part, "name", None) == owner.name]
    return ast.parse(textwrap.dedent(inspect.getsource(owner))).body  # type: ignore[arg-type]


def _shape(part: object) -> str:
    # Not ast.dump or ast.unparse, whose forms differ between versions of Python.
    if isinstance(part, list):
        return f"[{','.join(_shape(one) for one in part if not _is_docstring(one))}]"
    if not isinstance(part, ast.AST):
        return repr(part)
    fields = ((name, value) for name, value in ast.iter_fields(part) if value not in (None, []) and name != "kind")
    return f"{type(part).__name__}({','.join(f'{name}={_shape(value)}' for name, value in fields)})"


def _is_docstring(part: object) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)


def changed(known: Mapping[str, tuple[object, tuple[str, ...]]]) -> list[str]:
    """Return the names of what is not as it is known.

    Args:
        known: By its name, each function or class, and the digests that are known of it.
    """
    return [name for name, (owner, digests) in known.items() if not _is_known(owner, digests)]


def _is_known(owner: object, digests: tuple[str, ...]) -> bool:
    try:
        return digest_of(owner) in digests
    except (OSError, TypeError, SyntaxError):  # no source, or not a function any more
        return False
