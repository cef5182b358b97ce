"""Reads the source of a distribution's own modules, and what each name in it stands for; nothing is imported."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from openrtc.discovery.entries import Entry
from openrtc.model.builders import name_of
from openrtc.plugins.own_modules import find_own_modules, imported_name, package_of, plain_name

MOST_STEPS = 20
"""How often a name is followed from module to module: two may import it from each other."""

Import = ast.Import | ast.ImportFrom


@dataclass(slots=True)
class ModuleSource:
    """The source of one module.

    Args:
        module: The module, as its distribution's code calls it.
        file: Its file.
        bound: What each name stands for that it has at module level: functions, classes and values.
        imported: Of each name that it imports anywhere, the module, and the name there; none for the module itself.
        stars: The modules of which it imports all names.
    """

    module: str
    file: str
    bound: dict[str, list[ast.AST]] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Whether a name is there at module level."""
        return name in self.bound or name in self.imported


class OwnSources:
    """The sources of a distribution's own modules.

    Args:
        entry: One of its entries.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._own = find_own_modules(entry)
        self._read: dict[str, ModuleSource | None] = {}

    def find(self, module: str) -> ModuleSource | None:
        """Return the source of a module, None where that is not the distribution's own, or has none."""
        if module not in self._read:
            file = self._find_file(module)
            self._read[module] = _read_source(module, file) if file else None
        return self._read[module]

    def resolve(self, source: ModuleSource, path: Sequence[str], steps: int = 0) -> tuple[ModuleSource, str] | None:
        """Return where the thing is bound that names stand for, which is in a module of its own.

        Args:
            source: Where they are written.
            path: A name, and the attributes behind it.
            steps: How many modules have been gone through.

        Returns:
            The module and the name there, which is empty for the module itself; None for what is somebody else's.
        """
        name, rest = path[0], path[1:]
        if steps > MOST_STEPS:
            return None
        if name in source.bound:
            return source, name
        if name in source.imported:
            module, attribute = source.imported[name]
            return self._resolve_in(module, [attribute, *rest] if attribute else rest, steps + 1)
        for star in source.stars:
            other = self.find(star)
            if other and other.has(name):
                return self.resolve(other, path, steps + 1)
        return None

    def _resolve_in(self, module: str, path: Sequence[str], steps: int) -> tuple[ModuleSource, str] | None:
        source = self.find(module)
        if source and not path:
            return source, ""
        if source and (found := self.resolve(source, path, steps)):
            return found
        return self._resolve_in(f"{module}.{path[0]}", path[1:], steps) if path and steps <= MOST_STEPS else None

    def _find_file(self, module: str) -> str | None:
        loaded = sys.modules.get(imported_name(self._entry, module))
        if loaded is not None:
            file = getattr(loaded, "__file__", None)
            return file if isinstance(file, str) and self._is_own(module, file) else None
        # One that is imported in a function only: to ask Python for it would import its package.
        package = sys.modules.get(package_of(self._entry.distribution))
        for place in getattr(package, "__path__", ()):
            path = os.path.join(place, *module.split("."))
            for file in (f"{path}.py", os.path.join(path, "__init__.py")):
                if os.path.isfile(file) and self._is_own(module, file):
                    return file
        return None

    def _is_own(self, module: str, file: str) -> bool:
        is_its_package = module.partition(".")[0] == plain_name(self._entry.module).partition(".")[0]
        return is_its_package or (self._own is not None and self._own.holds(file))


def walk_used(sources: OwnSources, roots: Iterable[Callable[..., Any]]) -> Iterator[tuple[ModuleSource, ast.AST]]:
    """Yield what functions and classes are, and all that they name in modules of their own; each thing once.

    Args:
        sources: The sources of their distribution.
        roots: The functions and classes.

    Yields:
        A module's source, and the function, class or value in it.
    """
    seen: set[tuple[str, str]] = set()
    waiting: list[tuple[ModuleSource, str]] = []

    def reach(source: ModuleSource, name: str) -> None:
        for one in [name] if name else source.bound:  # a module that is handed over has all that it holds used
            if (source.module, one) not in seen:
                seen.add((source.module, one))
                waiting.append((source, one))

    for root in roots:
        module, _, name = name_of(root).partition(":")
        if source := sources.find(plain_name(module)):
            reach(source, name.partition(".")[0])
    while waiting:
        source, name = waiting.pop(0)
        for node in source.bound.get(name, ()):
            nodes = list(ast.walk(node))
            inner = {id(one.value) for one in nodes if isinstance(one, ast.Attribute)}
            for one in nodes:
                names = list_names(one) if id(one) not in inner else None
                if names and (found := sources.resolve(source, names)):
                    reach(*found)
            yield source, node


def list_names(node: ast.AST) -> list[str] | None:
    """Return the name and the attributes of an expression such as ``state.owner``; None for any other."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return [node.id, *reversed(attributes)] if isinstance(node, ast.Name) else None


def _read_source(module: str, file: str) -> ModuleSource | None:
    try:
        with open(file, "rb") as text:
            tree = ast.parse(text.read())
    except (OSError, SyntaxError, ValueError, RecursionError):  # it is compiled, or gone
        return None
    source = ModuleSource(module, file)
    package = module if os.path.basename(file) == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, Import):
            _note_import(source, node, package)
    for statement in _list_statements(tree.body):
        for name, value in _list_bound(statement):
            source.bound.setdefault(name, []).append(value)
    return source


def _note_import(source: ModuleSource, node: Import, package: str) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            source.imported[alias.asname or top] = (alias.name if alias.asname else top, "")
        return
    try:
        module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
    except ImportError:  # above the top
        return
    for alias in node.names:
        if alias.name == "*":
            source.stars.append(module)
        else:
            source.imported[alias.asname or alias.name] = (module, alias.name)


def _list_statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the statements of a module, also those below ``if``, ``try`` and the like, but not its main guard."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test):
            continue
        for part in ("body", "orelse", "finalbody", "handlers"):
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _list_statements(getattr(statement, part, ()))


def _list_bound(statement: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name, statement
    pairs: list[tuple[ast.AST, ast.AST]] = []
    if isinstance(statement, ast.With):
        pairs = [(item.optional_vars, item.context_expr) for item in statement.items if item.optional_vars]
    elif isinstance(statement, ast.Assign):
        pairs = [(target, statement.value) for target in statement.targets]
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        pairs = [(statement.target, statement.value or statement)]
    elif isinstance(statement, ast.For):
        pairs = [(statement.target, statement.iter)]
    for target, value in pairs:
        for one in ast.walk(target):
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
                yield one.id, value
