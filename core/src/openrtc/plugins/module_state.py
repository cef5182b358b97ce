"""Finds what the code of an agent writes into its modules during a call: all calls of one process would share it.

livekit-agents gives each job a process, and published agents count on that: one keeps the caller's identity in a module
variable, and in a shared process the next caller is taken for the first. The source is read from what a call runs on to
all that it names in files of the agent's own distribution; nothing is run. What is written at import or by a prewarm,
and what is made once for all calls (a client, a cache by its key), is no call's state. Not everything can be seen: not
what another distribution keeps, nor what is written through a parameter or a function's result.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from openrtc.discovery.entries import Entry
from openrtc.plugins.own_sources import ModuleSource, OwnSources, list_names, walk_used

_CONTAINERS = {
    *("dict", "list", "set", "bytearray", "defaultdict", "deque", "OrderedDict", "Counter", "ChainMap"),
    *("WeakKeyDictionary", "WeakValueDictionary", "WeakSet", "SimpleNamespace", "local"),
    *("Event", "Queue", "LifoQueue", "PriorityQueue", "SimpleQueue", "Future"),
}
_CHANGES = {
    *("append", "appendleft", "extend", "extendleft", "insert", "add", "update", "setdefault", "subtract"),
    *("pop", "popleft", "popitem", "remove", "discard", "clear", "sort", "reverse"),
    *("set", "put", "put_nowait", "set_result"),
}
"""Methods of these that change them."""
_OF_THE_PROCESS = {"set_tracer_provider", "set_meter_provider", "set_logger_provider", "set_event_loop_policy"}
"""Functions that set something for the process."""
_OF_THE_CALL = ("current", "context", "caller", "identity", "participant", "room")
"""Parts of names of functions whose result is a call's, though they are given nothing."""

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Named = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class ModuleWrite:
    """Something of a module that a call writes.

    Args:
        name: What is written, as it is written there.
        location: ``file:line``.
    """

    name: str
    location: str


def find_module_state(roots: Iterable[Callable[..., Any]], entry: Entry) -> tuple[ModuleWrite, ...]:
    """Return what is written into modules by functions, or by what they name; each thing once.

    Args:
        roots: What calls run: functions and classes.
        entry: The entry point whose distribution they are of.
    """
    sources = OwnSources(entry)
    found: dict[str, ModuleWrite] = {}
    for source, node in walk_used(sources, roots):
        for written, line in _list_writes(sources, source, node):
            found.setdefault(written, ModuleWrite(written, f"{source.file}:{line}"))
    return tuple(found.values())


def _list_writes(sources: OwnSources, source: ModuleSource, node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.ClassDef):
        for one in node.body:
            if isinstance(one, Named):
                yield from _Scope(one, source, sources, owner=node).list_writes()
    elif isinstance(node, Named):
        yield from _Scope(node, source, sources).list_writes()


@dataclass
class _Scope:
    """A function, and what its names stand for.

    Args:
        function: The function.
        source: Where it stands.
        sources: The sources of its distribution.
        outer: Names of the functions around it.
        owner: The class whose method it is.
    """

    function: Function
    source: ModuleSource
    sources: OwnSources
    outer: frozenset[str] = frozenset()
    owner: ast.ClassDef | None = None
    nodes: list[ast.AST] = field(init=False)
    local: frozenset[str] = field(init=False)
    parents: dict[ast.AST, ast.AST] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = list(_list_own_nodes(self.function))
        self.parents = {child: node for node in ast.walk(self.function) for child in ast.iter_child_nodes(node)}
        self._global = {name for node in self.nodes if isinstance(node, ast.Global) for name in node.names}
        arguments = {node.arg for node in ast.walk(self.function.args) if isinstance(node, ast.arg)}
        stored = {node.id for node in self.nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        defined = {node.name for node in self.nodes if isinstance(node, Named | ast.ClassDef)}
        self.local = (self.outer | arguments | stored | defined) - self._global
        self._assigned: dict[str, list[ast.expr]] = {}
        for node in self.nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assigned.setdefault(getattr(target, "id", ""), []).append(node.value)

    def list_writes(self) -> Iterator[tuple[str, int]]:
        """Yield what is written into modules here, and in functions within, with its line."""
        for node in self.nodes:
            if isinstance(node, Function):
                yield from _Scope(node, self.source, self.sources, self.local, self.owner).list_writes()
            elif isinstance(node, ast.ClassDef):
                for one in node.body:
                    if isinstance(one, Named):
                        yield from _Scope(one, self.source, self.sources, self.local, node).list_writes()
            elif name := self._name_written(node):
                yield name, getattr(node, "lineno", 0)

    def _name_written(self, node: ast.AST) -> str | None:
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            value = getattr(self.parents.get(node), "value", None)
            if isinstance(node, ast.Name):
                name = node.id if node.id in self._global else None
            else:
                name = self._name_of_module(node.value, node, value)
            return None if name is None or self.is_made_once(node, value) else name
        return self._name_changed(node) if isinstance(node, ast.Call) else None

    def _name_changed(self, call: ast.Call) -> str | None:
        """Return what a call changes of a module: by a method of a container, or of an own class, or as `setattr`."""
        function = call.func
        names = list_names(function)
        if names and names[-1] in _OF_THE_PROCESS:
            return f"{names[-1]}()"
        if names == ["setattr"] and call.args:
            return self._name_of_module(call.args[0], call, call)
        if not isinstance(function, ast.Attribute):
            return None
        name = self._name_of_module(function.value, function, call)
        values = self._list_values(function.value) if name != "globals()" else [ast.Dict([], [])]
        if name is None or not values:
            return None
        if function.attr in _CHANGES and any(map(_is_container, values)):
            return None if self._holds_tasks(function) else name
        return name if any(self._writes_itself(value, function.attr) for value in values) else None

    def _holds_tasks(self, function: ast.Attribute) -> bool:
        """Whether a set only keeps running tasks from being collected, as asyncio's documentation has it."""
        callback = f".add_done_callback({ast.unparse(function.value)}.discard)"
        return function.attr == "add" and any(
            ast.unparse(node).endswith(callback) for node in self.nodes if isinstance(node, ast.Call)
        )

    def _name_of_module(self, target: ast.expr, whole: ast.AST, value: ast.AST | None) -> str | None:
        """Return the name of what belongs to a module, or to a class; None for what is a call's own, or only logs."""
        root = _find_root(target)
        path = list_names(root)
        if path is None:
            return "globals()" if ast.unparse(root) == "globals()" else self._name_of_class(root, whole)
        if path[0] in self.local:
            if path[0] in ("self", "cls") and self.owner:
                return self._name_of_class(root, whole)
            path = self._find_alias(path)
            if path is None:
                return None
        if path[0] not in self._global and not self.source.has(path[0]) and not self.source.stars:
            return None
        found = self.sources.resolve(self.source, path)
        if found is None:  # somebody else's module: what all calls set alike is a setting
            is_logging = self.source.imported.get(path[0], ("", ""))[0] == "logging"
            is_known = path[0] in self._global or path[0] in self.source.imported
            is_setting = isinstance(value, ast.AST) and not self._list_local(value) | self._list_local(whole)
            return ".".join(path) if is_known and not is_logging and not is_setting else None
        if any(_is_logger(one) for one in found[0].bound.get(found[1], ())):
            return None
        return ".".join(path)

    def _name_of_class(self, root: ast.expr, whole: ast.AST) -> str | None:
        """Return the name of an attribute that all objects of a class share."""
        if self.owner is None:
            return None
        text, names = ast.unparse(root), list_names(root) or []
        if text.startswith(("type(self)", "self.__class__")) or (text == "cls" and self._is_classmethod()):
            return f"{self.owner.name}.{ast.unparse(_find_root(whole)).rpartition('.')[2]}"
        if len(names) > 1 and names[0] == "self" and _is_shared(self.owner, names[1]):
            return f"{self.owner.name}.{names[1]}"
        return None

    def _is_classmethod(self) -> bool:
        decorators = getattr(self.function, "decorator_list", ())
        return any(ast.unparse(one) == "classmethod" for one in decorators)

    def _find_alias(self, path: Sequence[str]) -> list[str] | None:
        """Return what of a module a local name stands for, as after ``state = _STATE``."""
        assigned = self._assigned.get(path[0], ())
        names = list_names(assigned[0]) if len(assigned) == 1 else None
        if names is None or names[0] in self.local or path[0] in self.outer:
            return None
        found = self.sources.resolve(self.source, names)
        values = found[0].bound.get(found[1], ()) if found else ()
        return [*names, *path[1:]] if any(_is_container(one) or isinstance(one, ast.Call) for one in values) else None

    def _list_values(self, target: ast.expr) -> list[ast.AST]:
        """Return what a name of a module was given there, or a class attribute in its class."""
        path = list_names(_find_root(target))
        if path and path[0] == "self" and self.owner and len(path) > 1:
            return _list_class_values(self.owner, path[1])
        if path and path[0] in self.local:
            path = self._find_alias(path)
        found = self.sources.resolve(self.source, path) if path else None
        if found:
            return found[0].bound.get(found[1], [])
        return [ast.Dict([], [])] if path and path[-1] == "environ" else []

    def _writes_itself(self, value: ast.AST, method: str) -> bool:
        """Whether a value is made of a class of this distribution whose method writes its own object."""
        names = list_names(value.func) if isinstance(value, ast.Call) else None
        found = self.sources.resolve(self.source, names) if names else None
        for made in found[0].bound.get(found[1], ()) if found else ():
            for one in made.body if isinstance(made, ast.ClassDef) else ():
                if isinstance(one, Named) and one.name == method and found:
                    return _changes_self(_Scope(one, found[0], self.sources, owner=None))
        return False

    def is_made_once(self, target: ast.AST, value: ast.AST | None) -> bool:
        """Whether something is made where it is not there yet, of nothing that is a call's: a client, or a cache."""
        made = value.value if isinstance(value, ast.Await) else value
        if not isinstance(made, ast.Call) or any(part in ast.unparse(made.func).lower() for part in _OF_THE_CALL):
            return False
        key = target.slice if isinstance(target, ast.Subscript) else None
        if self._list_local(made) - (self._list_local(key) if key else {"self", "cls"}):
            return False
        text = ast.unparse(target)
        absent = {f"{text} is None", f"not {text}"}
        present = {f"{text} is not None", text}
        if isinstance(target, ast.Subscript):
            absent |= {f"{ast.unparse(target.slice)} not in {ast.unparse(target.value)}"}
            present |= {f"{ast.unparse(target.slice)} in {ast.unparse(target.value)}"}
        node = self.parents.get(target)
        while node is not None and node is not self.function:
            parent = self.parents.get(node)
            if isinstance(parent, ast.If) and node in parent.body and ast.unparse(parent.test) in absent:
                return True
            for block in (getattr(parent, part, None) for part in ("body", "orelse")):
                before = block[: block.index(node)] if isinstance(block, list) and node in block else []
                if any(isinstance(one, ast.If) and _ends(one) and ast.unparse(one.test) in present for one in before):
                    return True
            node = parent
        return False

    def _list_local(self, node: ast.AST) -> set[str]:
        return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and one.id in self.local}


def _list_own_nodes(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body; of functions and classes within, only these themselves."""
    waiting: list[ast.AST] = list(function.body) if isinstance(function.body, list) else [function.body]
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, Function | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def _find_root(node: ast.AST) -> Any:
    """Return an expression without what comes behind its first subscript: ``state.calls`` of ``state.calls[1].at``."""
    last = node
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Subscript):
            last = node.value
        node = node.value
    return last


def _is_container(value: ast.AST) -> bool:
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] in _CONTAINERS
    return isinstance(value, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp)


def _is_logger(value: ast.AST) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func).lower().endswith("getlogger")


def _list_class_values(owner: ast.ClassDef, attribute: str) -> list[ast.AST]:
    values: list[ast.AST] = []
    for one in owner.body:
        targets = one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AnnAssign) else []
        value = getattr(one, "value", None)
        if value and any(isinstance(target, ast.Name) and target.id == attribute for target in targets):
            values.append(value)
    return values


def _is_shared(owner: ast.ClassDef, attribute: str) -> bool:
    """Whether a class has a container for all its objects, since none gets one of its own, as from pydantic."""
    if any(ast.unparse(base).endswith("BaseModel") for base in owner.bases):
        return False
    gets_own = any(
        isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node) == f"self.{attribute}"
        for node in ast.walk(owner)
    )
    return not gets_own and any(map(_is_container, _list_class_values(owner, attribute)))


def _changes_self(scope: _Scope) -> bool:
    for node in scope.nodes:
        is_stored = isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store)
        is_changed = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES
        value = getattr(scope.parents.get(node), "value", None)
        if (is_stored or is_changed) and ast.unparse(node).startswith("self.") and not scope.is_made_once(node, value):
            return True
    return False


def _ends(guard: ast.If) -> bool:
    return isinstance(guard.body[-1], ast.Return | ast.Raise | ast.Continue)
