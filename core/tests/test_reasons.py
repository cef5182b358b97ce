"""What a reader would ask "why?" of says why: broad excepts, silenced checkers, numbers that stand for time or size."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
MODULES = sorted(path for folder in PROJECT.glob("*/**/src") for path in folder.rglob("*.py"))
SILENCED = re.compile(r"noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[\w, -]+\]")
SAYS_WHY_ITSELF = {"type: ignore[import-untyped]"}
NUMBER = re.compile(r"[-+*/()\d_.e ]+")


def comments_of(source: str) -> dict[int, str]:
    """Return each comment by its line."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def reasons_of(comments: dict[int, str]) -> set[int]:
    """Return the lines whose comment says something beside silencing a checker."""
    return {line for line, text in comments.items() if len(SILENCED.sub("", text).strip("# ")) > 3}


def broad_excepts(tree: ast.AST) -> Iterator[tuple[int, int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            if re.search(r"\b(BaseException|Exception|everything)\b", caught):
                yield node.lineno - 1, node.body[0].lineno, f"except {caught}"


def numbers(tree: ast.Module) -> Iterator[tuple[int, int, str]]:
    """Yield the constants of a module that are bare numbers and have no docstring below them or below their group."""
    for position, node in enumerate(tree.body):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and NUMBER.fullmatch(ast.unparse(node.value)):
            group = list(up_to_blank_line(tree.body[position:]))
            if not any(isinstance(one, ast.Expr) for one in group):
                yield node.lineno - 1, node.end_lineno or node.lineno, ast.unparse(node)


def up_to_blank_line(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the first statements up to a blank line."""
    for node, following in zip(nodes, [*nodes, None][1:], strict=True):
        yield node
        if following is None or following.lineno > (node.end_lineno or 0) + 1:
            return


def first_line_of_group(source: str, line: int) -> int:
    """Return the first line of the lines without a blank one that end with ``line``."""
    lines = source.split("\n")
    while line > 1 and lines[line - 2].strip():
        line -= 1
    return line


def without_reason(source: str) -> Iterator[str]:
    """Yield what has no reason in ``source``, with its line; a comment above a group of lines stands for all of it."""
    tree = ast.parse(source)
    excepts, bare = list(broad_excepts(tree)), list(numbers(tree))
    if not excepts and not bare and not SILENCED.search(source):
        return  # to find its comments takes longer than all else
    comments = comments_of(source)
    reasons = reasons_of(comments)
    for first, last, what in excepts:
        if reasons.isdisjoint(range(first, last + 1)):
            yield f"line {last}: {what}"
    for first, last, what in bare:
        if reasons.isdisjoint((first_line_of_group(source, last), *range(first, last + 1))):
            yield f"line {last}: {what}"
    said_once = {match[0] for line in reasons for match in SILENCED.finditer(comments[line])} | SAYS_WHY_ITSELF
    for line, text in comments.items():
        silenced = SILENCED.search(text)
        if silenced and reasons.isdisjoint(range(line - 3, line + 1)) and silenced[0] not in said_once:
            yield f"line {line}: {text}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_broad_excepts_silenced_checkers_and_numbers_say_why(path: Path) -> None:
    assert list(without_reason(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    pass\nexcept Exception:\n    pass\n",
        "import os  # noqa: F401\n",
        "x: int = y  # type: ignore[assignment]\n",
        "LIMIT = 3.0\n",
    ],
)
def test_what_says_no_reason_is_found(source: str) -> None:
    assert list(without_reason(source))


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    pass\nexcept Exception:  # a package's own code\n    pass\n",
        "import os  # noqa: F401  # others import it from here\n",
        "# mypy cannot know it\nx: int = y  # type: ignore[assignment]\n",
        'LIMIT = 3.0\n"""Seconds."""\n',
        "LIMIT = 3.0  # seconds that a router has\n",
    ],
)
def test_what_says_a_reason_is_not(source: str) -> None:
    assert not list(without_reason(source))
