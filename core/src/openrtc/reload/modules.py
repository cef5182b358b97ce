"""Which modules are taken out and imported again together when a file has changed.

A group is what one distribution has, or, of what belongs to none that is known, one top-level package. Its modules are
imported anew all together, so that they agree on what each class is, with those of every group that imports from it.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from types import ModuleType

from openrtc.discovery.own_files import SITE, is_within
from openrtc.plugins.own_modules import find_owner, remember_distributions

NOBODYS_PACKAGE = frozenset({"livekit", "openrtc", "google", "__main__", "__mp_main__"}) | sys.stdlib_module_names
"""Top-level modules that are no package's own."""
_STDLIB = tuple({os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")})


@dataclass(slots=True)
class Group:
    """Modules that are imported anew together.

    Args:
        name: ``distribution-NAME``, or the name of a top-level package.
        modules: Their names in `sys.modules`, each with its file.
    """

    name: str
    modules: dict[str, str] = field(default_factory=dict)


def find_groups() -> dict[str, Group]:
    """Return the groups of all packages that may be edited: not Python's own, nor libraries of somebody else."""
    groups: dict[str, Group] = {}
    for name, module in list(sys.modules.items()):
        file = _find_file(module)
        if file and (group := _find_group(name, module, file)):
            groups.setdefault(group, Group(group)).modules[name] = file
    return groups


def find_dependents(names: Iterable[str], groups: dict[str, Group], sources: Sources) -> set[str]:
    """Return groups with all that import from them, directly or through others.

    Args:
        names: Those that have changed.
        groups: All.
        sources: The sources of their modules.
    """
    homes = {module: group.name for group in groups.values() for module in group.modules}
    importers: dict[str, set[str]] = {}
    for group in groups.values():
        for module, file in group.modules.items():
            for imported in sources.list_imports(module, file):
                home = homes.get(imported)
                if home and home != group.name:
                    importers.setdefault(home, set()).add(group.name)
    found, waiting = set(names), list(names)
    while waiting:
        for one in importers.get(waiting.pop(), set()) - found:
            found.add(one)
            waiting.append(one)
    return found


class Sources:
    """What modules import, as their sources say; a source that cannot be read imports what it did before."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int], frozenset[str]]] = {}

    def list_imports(self, module: str, file: str) -> frozenset[str]:
        """Return the names in `sys.modules` of what a module may import anywhere in its code."""
        known = self._known.get(file)
        try:
            state = os.stat(file)
            mark = (state.st_mtime_ns, state.st_size)
            if known and known[0] == mark:
                return known[1]
            with open(file, "rb") as source:
                tree = ast.parse(source.read())
        except (OSError, SyntaxError, ValueError, RecursionError):
            return known[1] if known else frozenset()
        found = frozenset(_list_imports(tree, sys.modules.get(module)))
        self._known[file] = (mark, found)
        return found


class TakenOut:
    """Modules that are taken out of `sys.modules`, until they are put back or let go.

    Args:
        groups: The groups that they are in.
    """

    def __init__(self, groups: Iterable[Group]) -> None:
        groups = list(groups)
        self._names = {group.name for group in groups}
        self._forget_new = remember_distributions()
        self._modules = {name: sys.modules[name] for group in groups for name in group.modules if name in sys.modules}
        self._attributes: list[tuple[ModuleType, str, object]] = []
        for name, module in self._modules.items():
            parent_name, _, child = name.rpartition(".")
            parent = sys.modules.get(parent_name)
            if parent is not None and parent_name not in self._modules and vars(parent).get(child) is module:
                self._attributes.append((parent, child, module))
            # A compiled file says only in which second and of which size its source was: of two edits in one second
            # the second one would not count.
            with contextlib.suppress(OSError, TypeError):
                os.unlink(getattr(module, "__cached__", None) or "")
        for name in self._modules:
            del sys.modules[name]

    @property
    def modules(self) -> Collection[str]:
        """Their names."""
        return self._modules.keys()

    def put_back(self) -> None:
        """Let everything be as it was; what was imported of the groups since is forgotten."""
        for group in find_groups().values():
            if group.name in self._names:
                for name in group.modules:
                    sys.modules.pop(name, None)
        self._forget_new()
        sys.modules.update(self._modules)
        for parent, child, module in self._attributes:
            setattr(parent, child, module)


def _find_file(module: object) -> str | None:
    if not isinstance(module, ModuleType):  # a package may have put anything there
        return None
    file = vars(module).get("__file__")
    return file if isinstance(file, str) and file.endswith(".py") else None


def _find_group(name: str, module: ModuleType, file: str) -> str | None:
    if own := find_owner(vars(module)):
        return own.package
    top = name.partition(".")[0]
    if top in NOBODYS_PACKAGE or not os.path.isabs(file):
        return None
    if any(f"{os.sep}{site}{os.sep}" in file for site in SITE) or any(is_within(file, one) for one in _STDLIB):
        return None
    return top


def _list_imports(tree: ast.AST, module: ModuleType | None) -> Iterator[str]:
    spec = getattr(module, "__spec__", None)
    own = find_owner(vars(module)) if module else None
    rename: Callable[[str], str] = own.name_of if own else str
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (rename(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                try:
                    base = importlib.util.resolve_name("." * node.level + base, spec.parent if spec else "")
                except ImportError:  # above the top
                    continue
            else:
                base = rename(base)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
