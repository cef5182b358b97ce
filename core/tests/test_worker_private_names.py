"""Private names of livekit and livekit-agents stand in `openrtc.worker.upstream` and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import openrtc

PACKAGE = Path(openrtc.__file__).parent
UPSTREAM = PACKAGE / "worker" / "upstream"
OF_PYTHON = {"os._exit", "sys._getframe", "sys._current_frames", "atexit._run_exitfuncs"}
OF_NAMED_TUPLES = {"_replace", "_asdict"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_imports(tree: ast.AST) -> Iterator[str]:
    """Return what a module imports of livekit's private modules and names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "livekit":
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from (f"{node.module}: {part}" for part in parts if is_private(part))
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("livekit")]
            yield from (name for name in names if any(map(is_private, name.split("."))))


def foreign_attributes(tree: ast.AST) -> Iterator[str]:
    """Return the private attributes that a module uses of objects other than its own."""
    own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_self(node.value)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own | OF_NAMED_TUPLES:
            used = ast.unparse(node)
            if used not in OF_PYTHON and not node.attr.startswith("_openrtc_"):
                yield f"line {node.lineno}: {used}"


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def modules() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if UPSTREAM not in path.parents:
            yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text("utf-8"))


def test_no_other_module_imports_private_names() -> None:
    assert {name: found for name, tree in modules() if (found := list(private_imports(tree)))} == {}


def test_no_other_module_uses_private_attributes_of_objects_that_are_not_its_own() -> None:
    assert {name: found for name, tree in modules() if (found := list(foreign_attributes(tree)))} == {}
