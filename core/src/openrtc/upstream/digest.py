"""Finds out whether code of livekit is still what OpenRTC knows, comments and formatting aside.

OpenRTC replaces code of livekit, stands in for it line by line, or reads what it keeps for itself. Where that code has
changed, a call could fail, or a fix of livekit's be lost without a word; so what relies on it is then left off.

Code is known by its name, ``module:Class.function``, and is looked for in the source of the module: a name that is gone
is a change like any other, and releases that are not installed can be looked at, too (tools/livekit_releases.py).
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import pkgutil
import sys
import threading
from collections.abc import Collection
from importlib.abc import InspectLoader
from types import FunctionType

from openrtc.upstream.known_code import ABSENT, DIGESTS, USED_BY

_UNREADABLE = "unreadable"
"""Stands for the digest of code whose source cannot be read, or that somebody has replaced."""
_parsing = threading.Lock()
"""Held while a source is parsed: Python 3.11 raises a SystemError where two threads do at once."""
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def describe_changes(*parts: str) -> str | None:
    """Return in half a line what of livekit is not as OpenRTC knows it, or None where all of it is.

    Args:
        *parts: Some of `USED_BY`.
    """
    changes = find_changes(*parts)
    lines = [f"{name} {'is gone' if digest == ABSENT else 'has changed'}" for name, digest in changes.items()]
    return ", ".join(lines) or None


def find_changes(*parts: str) -> dict[str, str]:
    """Return the names of what is installed and not as OpenRTC knows it, with their digests; nothing of it is called.

    Args:
        *parts: Some of `USED_BY`.
    """
    names = dict.fromkeys(name for part in parts for name in USED_BY[part])
    found = {name: _compute_installed_digest(name) for name in names}
    return {name: digest for name, digest in found.items() if not is_known(name, digest)}


def is_known(name: str, digest: str) -> bool:
    """Whether OpenRTC knows this digest of a name."""
    module, _, path = name.partition(":")
    return digest in DIGESTS[module][path]


def compute_digests(source: str | None, paths: Collection[str]) -> dict[str, str]:
    """Return short digests of what code does: its syntax tree, without docstrings and positions.

    Args:
        source: Text of a module; None where there is no such module.
        paths: Functions and classes of it, as in ``Class.function``; the empty path stands for all of it.

    Raises:
        SyntaxError: The source does not parse.
    """
    body = ast.parse(source or "").body
    return {path: _digest(body if not path and source is not None else find_definitions(body, path)) for path in paths}


def find_definitions(body: list[ast.stmt], path: str) -> list[ast.stmt]:
    """Return what defines a name, all of it where it has overloads or a setter; nothing where it is gone."""
    for part in path.split("."):
        found = [node for node in body if isinstance(node, _DEFINITIONS) and node.name == part]
        body = [child for node in found for child in node.body]
    return list(found)


def _compute_installed_digest(name: str) -> str:
    module, _, path = name.partition(":")
    digest = _compute_module_digests(module)[path]
    return _UNREADABLE if digest != ABSENT and _is_replaced(name, module) else digest


@functools.cache  # several parts look at one module, and each worker of a machine at all of them once
def _compute_module_digests(module: str) -> dict[str, str]:
    try:
        with _parsing:
            return compute_digests(_read_source(module), DIGESTS[module])
    except (ImportError, SyntaxError):
        return dict.fromkeys(DIGESTS[module], _UNREADABLE)


def _read_source(module: str) -> str | None:
    """Return the text of an installed module, without importing it; None where there is none.

    Raises:
        ImportError: It has no source.
    """
    # Not `inspect.getsource`: it looks for the module of a function among all that are imported, 80 ms for one.
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # of a package that it would be in
        return None
    if spec is None:
        return None
    source = spec.loader.get_source(module) if isinstance(spec.loader, InspectLoader) else None
    if source is None:
        raise ImportError(f"{module} has no source")
    return source


def _is_replaced(name: str, module: str) -> bool:
    """Whether somebody other than OpenRTC has put a function of their own where livekit's was."""
    if module not in sys.modules:
        return False
    try:
        found = pkgutil.resolve_name(name)
    except AttributeError:
        return True
    function = inspect.unwrap(found) if callable(found) else found
    return isinstance(function, FunctionType) and not function.__module__.startswith((module, "openrtc."))


def _digest(nodes: list[ast.stmt]) -> str:
    return hashlib.sha256(_render(nodes).encode()).hexdigest()[:16] if nodes else ABSENT


def _render(node: object) -> str:
    # Not ast.dump or ast.unparse: their forms differ between versions of Python, and so would the digests. For the same
    # reason empty fields are left out, which later versions may add, and `kind`, the "u" before a string.
    if isinstance(node, list):
        return f"[{','.join(_render(child) for child in node if not _is_docstring(child))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []) and name != "kind")
    return f"{type(node).__name__}({','.join(f'{name}={_render(value)}' for name, value in fields)})"


def _is_docstring(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
