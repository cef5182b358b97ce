"""One name, one thing: no two modules define a public class, function or constant of the same name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import openrtc

PACKAGE = Path(openrtc.__file__).parent

SHARED = {
    "SUMMARY": "of each command",
    "add_arguments": "of each command",
    "run": "of each command",
    "install": "of each patch among the speedups",
    "uninstall": "of each patch among the speedups",
    "POLL_SECONDS": "of each module that looks again and again",
    "T": "of each module with a generic function",
    "logger": "of each module that logs",
    "main": "of each program",
}
"""Names that mean the same thing in each module that has them."""


def public_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_no_public_name_stands_for_two_things() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).as_posix()
        for name in dict.fromkeys(public_names(ast.parse(path.read_text("utf-8")))):
            if not name.startswith("_") and name not in SHARED:
                homes[name].append(module)
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}
