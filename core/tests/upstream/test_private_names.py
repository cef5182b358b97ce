"""Private names of livekit stand in `openrtc.upstream` and `openrtc.speedups` alone, and each is known by a digest."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

import openrtc
from openrtc.speedups.registry import SPEEDUPS
from openrtc.upstream.digest import _read_source, find_definitions
from openrtc.upstream.known_code import USED_BY

PACKAGE = Path(openrtc.__file__).parent
ROOMS_OF_PRIVATE_NAMES = {PACKAGE / "upstream", PACKAGE / "speedups"}
OF_PYTHON = {"os._exit", "sys._getframe", "sys._current_frames", "atexit._run_exitfuncs"}
OF_PYTHON |= {"util._args_from_interpreter_flags"}  # of multiprocessing
OF_PYTHON |= {"logging.getLogger().manager._clear_cache"}  # what each logger remembers of `isEnabledFor`
OF_PYTHON |= {"parser._actions", "argparse._SubParsersAction"}  # what argcomplete reads of a parser, too
GENERATED = {"_proto"}
"""Of livekit's protocol; where it is gone, the speedup is left off."""
OF_OPENTELEMETRY = {"_TRACER_PROVIDER", "_set_tracer_provider", "_active_span_processor", "_span_processors"}
"""Of OpenTelemetry, which `_is_known` or `getattr` looks for."""
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
    nodes = list(ast.walk(tree))
    own = {node.attr for node in nodes if isinstance(node, ast.Attribute) and _is_self(node.value)}
    own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own | OF_NAMED_TUPLES:
            used = ast.unparse(node)
            if used not in OF_PYTHON and not node.attr.startswith("_openrtc_"):
                yield f"line {node.lineno}: {used}"


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


@functools.cache
def private_uses() -> dict[str, tuple[list[str], list[str]]]:
    """Return what each other module imports of livekit's private names, and which attributes of others it uses."""
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if ROOMS_OF_PRIVATE_NAMES.isdisjoint(path.parents)]
    trees = ((path, ast.parse(path.read_text("utf-8"))) for path in paths)
    return {
        path.relative_to(PACKAGE).as_posix(): (list(private_imports(tree)), list(foreign_attributes(tree)))
        for path, tree in trees
    }


def test_no_other_module_imports_private_names() -> None:
    assert {name: imports for name, (imports, _) in private_uses().items() if imports} == {}


def test_no_other_module_uses_private_attributes_of_objects_that_are_not_its_own() -> None:
    assert {name: attributes for name, (_, attributes) in private_uses().items() if attributes} == {}


PARTS = {
    "upstream/avatars.py": ("avatars",),
    "upstream/call_providers.py": ("traces",),
    "upstream/livekit_traces.py": ("traces",),
    "upstream/opentelemetry_traces.py": (),
    "upstream/handoffs.py": ("handoffs",),
    "upstream/health.py": ("health",),
    "upstream/jobs.py": ("jobs", "health", "panics", "status", "tools"),
    "upstream/lifecycle.py": ("jobs",),
    "upstream/lk_cli.py": ("lk",),
    "upstream/names.py": ("names", "jobs"),
    "upstream/registered.py": ("registered",),
    "upstream/session_hosts.py": ("hosts",),
    "upstream/session_models.py": ("models",),
    "upstream/speech.py": ("speech",),
    "upstream/warm_up.py": ("warm_up",),
}
"""By module, the parts of `USED_BY` that it needs; a speedup needs the one with its name."""


@functools.cache
def private_names(path: Path) -> set[str]:
    """Return the private names of livekit that a module uses."""
    tree = ast.parse(path.read_text("utf-8"))
    imported = {line.rpartition(": ")[2] for line in private_imports(tree)}
    return imported | {line.rpartition(".")[2] for line in foreign_attributes(tree)}


@functools.cache
def known_names(part: str) -> set[str]:
    """Return all names in the code whose digests a part needs."""
    names: set[str] = set()
    bodies = {
        module: ast.parse(_read_source(module) or "").body
        for module in {name.partition(":")[0] for name in USED_BY[part]}
    }
    for name in USED_BY[part]:
        module, _, path = name.partition(":")
        names |= {*module.split("."), *path.split(".")}
        body = bodies[module]
        for node in ast.walk(ast.Module(find_definitions(body, path) if path else body, [])):
            names |= {str(value) for _, value in ast.iter_fields(node) if isinstance(value, str)}
    return names


@pytest.mark.parametrize("module", [*PARTS, *(f"speedups/{name}.py" for name in SPEEDUPS if name in USED_BY)])
def test_each_private_name_stands_in_code_that_is_known_by_its_digest(module: str) -> None:
    parts = PARTS.get(module, (Path(module).stem,))
    known: set[str] = set().union(*map(known_names, parts))
    assert sorted(private_names(PACKAGE / module) - known - GENERATED - OF_OPENTELEMETRY) == []


def test_every_module_that_uses_private_names_needs_a_part() -> None:
    paths = [path for folder in ROOMS_OF_PRIVATE_NAMES for path in folder.glob("*.py") if private_names(path)]
    needing = {f"{path.parent.name}/{path.name}" for path in paths} - set(PARTS)
    assert needing - {f"speedups/{name}.py" for name in USED_BY} == set()
