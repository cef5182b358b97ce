"""Tells whether code of livekit is what OpenRTC knows, comments and formatting aside."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Mapping


@functools.cache
def digest_of(owner: object) -> str:
    """Return a short digest of what a function or class does: its syntax tree, without docstrings and positions."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))  # type: ignore[arg-type]
    return hashlib.sha256(_shape(tree.body).encode()).hexdigest()[:16]


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
